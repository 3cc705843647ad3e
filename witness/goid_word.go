//go:build (witness || race) && gc && (amd64 || arm64)

package witness

import "github.com/softnet-go/softnet/internal/hook"

// gword returns the word that lies off bytes into the runtime's record of the calling
// goroutine.
func gword(off uintptr) uint64

// gwords is how much of the record is looked at; it is nearly twice as long.
const gwords = 32

// goidAt is where in the record the goroutine's id lies, 0 if that is not known.
var goidAt = findGoid()

// findGoid looks for the id in some goroutines whose ids differ. The place depends on
// the Go version; if not exactly one word fits, every lookup parses.
func findGoid() (off uintptr) {
	var differs [gwords]bool
	for range 8 {
		done := make(chan struct{})
		hook.Go("goid", func() {
			id := parseGoid()
			for i := range differs {
				differs[i] = differs[i] || gword(uintptr(i)*8) != id
			}
			close(done)
		})
		<-done
	}
	for i, no := range differs {
		if no {
			continue
		}
		if off != 0 {
			return 0
		}
		off = uintptr(i) * 8
	}
	return off
}

func goid() uint64 {
	if goidAt == 0 {
		return parseGoid()
	}
	return gword(goidAt)
}
