package witness_test

//lint:file-ignore SA2001 what is shown is the lock: there is nothing to guard

import (
	"sync"
	"testing"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/witness"
)

// Each lock beside its peer in package sync: alone, and wanted by every core.
func BenchmarkLock(b *testing.B) {
	var std sync.Mutex
	var stdRW sync.RWMutex
	var m witness.Mutex
	var rw witness.RWMutex
	var leaf hook.Mutex
	for _, k := range []struct {
		name string
		l    sync.Locker
	}{
		{"sync.Mutex", &std}, {"Mutex", &m}, {"leaf", &leaf},
		{"sync.RWMutex", &stdRW}, {"RWMutex", &rw},
		{"sync.RWMutex/read", stdRW.RLocker()}, {"RWMutex/read", reader{&rw}},
	} {
		b.Run(k.name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.l.Lock()
				k.l.Unlock()
			}
		})
		b.Run(k.name+"/contended", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k.l.Lock()
					k.l.Unlock()
				}
			})
		})
	}
}

// What a checked build pays where an ordinary one pays nothing.
func BenchmarkLevel(b *testing.B) {
	lv, l := witness.NewLevel("softint", 0), witness.Self()
	b.ReportAllocs()
	for b.Loop() {
		lv.Enter(l)
		lv.Exit(l)
	}
}
