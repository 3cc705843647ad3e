package main

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// ground is who is running, when nobody looks any more, and how things are held.
func ground() []row {
	var rows []row
	for _, part := range []func() []row{sections, references, waits, bindings, locks, door, sizes} {
		rows = append(rows, part()...)
	}
	return rows
}

func sections() []row {
	read := func(bind binding) func() body {
		return func() body { return newStack(pair, bind).section }
	}
	var (
		softint1 = on(1, "one core", read(softint))
		softint2 = on(2, "", read(softint))
		thread1  = on(1, "one core", read(thread))
		thread2  = on(2, "", read(thread))
		nested   = on(1, "", func() body { return newStack(pair, thread).nested })
		burst    = on(1, "", func() body { return newStack(pair, softint).burst })
		bare     = on(1, "a bare pointer load", func() body { return bareLoad })
		rw       = on(2, "sync.RWMutex RLock+RUnlock", func() body { return newPeers().readLock })
		rb       = on(2, "xsync.RBMutex RLock+RUnlock", func() body { return newPeers().biasedReadLock })
	)
	return []row{
		{"read section, softint", softint1, []line{atMost(0.4, exchange)}},
		{"read section, softint, two cores", softint2, []line{atMost(1.1, softint1), beside(rw), beside(rb)}},
		{"read section, thread", thread1, []line{atMost(3, exchange)}},
		{"read section, thread, two cores", thread2, []line{atMost(1.1, thread1), beside(rw), beside(rb)}},
		{"read section, nested", nested, []line{atMost(0.3, exchange)}},
		{"a look in a burst of 32: one section, one checkpoint", burst, []line{atMost(1.5, bare)}},
		{"read section: allocations", allocations(softint1, thread1, nested, burst), []line{nothing()}},
	}
}

func references() []row {
	refer := func(bind binding) func() body {
		return func() body { return live(pair, bind).refer }
	}
	var (
		softint1 = on(1, "one core", refer(softint))
		softint2 = on(2, "", refer(softint))
		checking = on(2, "", func() body { return live(pair, softint).referAndCheck })
		thread1  = on(1, "one core", refer(thread))
		thread2  = on(2, "", refer(thread))
		counter  = on(2, "a shared counter", func() body { return newPeers().refCount })
	)
	return []row{
		{"psref acquire+release, softint", softint1, []line{atMost(0.5, exchange)}},
		{"psref acquire+release, softint, two cores", softint2, []line{atMost(1.1, softint1), faster(20, counter)}},
		{"psref acquire+release+checkpoint, softint, two cores", checking, []line{faster(20, counter)}},
		{"psref acquire+release, thread", thread1, []line{atMost(3, exchange)}},
		{"psref acquire+release, thread, two cores", thread2, []line{atMost(1.1, thread1), faster(4, counter)}},
		{"psref: allocations", allocations(softint1, checking, thread1), []line{nothing()}},
	}
}

func waits() []row {
	perform := func(bind binding) func() body {
		return func() body { return newStack(64, bind).perform }
	}
	destroy := func(lwps int) func() body {
		return func() body { return newStack(lwps-1, thread).destroy }
	}
	scan := func(words int) *probe {
		return on(1, "reading a word of each", func() body { return newWords(words).scan })
	}
	var (
		checking = func(softints int) *probe {
			return against("", func() load {
				st := newStack(softints, softint)
				return load{body: st.perform, beside: st.check}
			})
		}
		looking = against("", func() load {
			st := newStack(1, thread)
			return load{body: st.performAgainst, beside: st.look}
		})
		rw        = on(1, "sync.RWMutex Lock+Unlock", func() body { return newPeers().writeLock })
		rwLooking = against("sync.RWMutex Lock+Unlock", func() load {
			p := newPeers()
			return load{body: p.writeLockAgainst, beside: p.look}
		})
		rbLooking = against("xsync.RBMutex Lock+Unlock", func() load {
			p := newPeers()
			return load{body: p.biasedWriteLockAgainst, beside: p.biasedLook}
		})
	)
	const micro = time.Microsecond
	return []row{
		{"Perform, 64 idle threads", on(1, "", perform(thread)), []line{under(micro), beside(rw)}},
		{"Perform, 64 softints offline", on(1, "", perform(offline)), []line{under(micro), beside(rw)}},
		{"Perform, a softint passing checkpoints on the other core", checking(1), []line{under(micro)}},
		{"Perform, 64 softints passing checkpoints on the other core", checking(64), []line{under(micro)}},
		{"Perform, meeting a section of 10 µs on the other core", looking, []line{under(2*aWhile + 2*micro), beside(rwLooking), beside(rbLooking)}},
		{"Destroy, 64 LWPs, none holding", on(1, "", destroy(64)), []line{under(2 * micro), beside(scan(64))}},
		{"Destroy, 4096 LWPs, none holding", on(1, "", destroy(4096)), []line{under(100 * micro), beside(scan(4096))}},
	}
}

func bindings() []row {
	var (
		bind   = func() body { return newStack(0, nil).bind }
		pool   = func() body { return newPeers().getPut }
		bind1  = on(1, "", bind)
		around = on(1, "", func() body { return newStack(1, softint).around })
		count  = on(1, "", func() body { return newStack(1, thread).count })
	)
	return []row{
		{"Bind+Unbind", bind1, []line{atMost(1, on(1, "sync.Pool Get+Put", pool))}},
		{"Bind+Unbind, two cores", on(2, "", bind), []line{atMost(1, on(2, "sync.Pool Get+Put", pool))}},
		{"Offline+Online", around, []line{beside(exchange)}},
		{"Local.Get", count, []line{beside(exchange)}},
		{"lwp: allocations", allocations(bind1, around, count), []line{nothing()}},
	}
}

// locks holds those that may be held across a wait, in a build without their books.
func locks() []row {
	var (
		mutex    = on(1, "", func() body { return new(durable).lock })
		rw       = on(1, "", func() body { return new(durable).writeLock })
		read     = on(1, "", func() body { return new(durable).readLock })
		read2    = on(2, "", func() body { return new(durable).readLock })
		stdMutex = on(1, "sync.Mutex", func() body { return new(doors).lock })
		stdRW    = on(1, "sync.RWMutex", func() body { return newPeers().writeLock })
		stdRead  = on(1, "sync.RWMutex", func() body { return newPeers().readLock })
		stdRead2 = on(2, "sync.RWMutex", func() body { return newPeers().readLock })
	)
	return []row{
		{"witness.Mutex Lock+Unlock", mutex, []line{atMost(1.1, stdMutex)}},
		{"witness.RWMutex Lock+Unlock", rw, []line{beside(stdRW)}},
		{"witness.RWMutex RLock+RUnlock", read, []line{beside(stdRead)}},
		{"witness.RWMutex RLock+RUnlock, two cores", read2, []line{beside(stdRead2)}},
		{"witness: allocations", allocations(mutex, rw, read), []line{nothing()}},
	}
}

// door holds internal/hook, which every shared word goes through, against what is behind.
func door() []row {
	d := new(doors)
	through := func(name, peer string, ours, theirs body) row {
		pass := func(name string, f body) *probe { return on(1, name, func() body { return f }) }
		return row{"hook." + name, pass("", ours), []line{atMost(1.05, pass(peer, theirs))}}
	}
	return []row{
		through("Uint64.Load", "sync/atomic", d.hookLoad, d.load),
		through("Uint64.Swap", "sync/atomic", d.hookSwap, d.swap),
		through("Uint64.CompareAndSwap", "sync/atomic", d.hookCompareAndSwap, d.compareAndSwap),
		through("Pointer.Load", "sync/atomic", d.hookLoadPointer, d.loadPointer),
		through("Pointer.Store", "sync/atomic", d.hookStorePointer, d.storePointer),
		through("Mutex.Lock+Unlock", "sync.Mutex", d.hookLock, d.lock),
	}
}

func sizes() []row {
	size := func(name string, n uintptr) *probe {
		return fixed(name, "B", func() float64 { return float64(n) })
	}
	return []row{
		{"size of a psref.Ref", size("", unsafe.Sizeof(psref.Ref{})), []line{noLargerThan(16)}},
		{"size of a psref.Target", size("", unsafe.Sizeof(psref.Target{})), []line{
			noLargerThan(16),
			beside(size("a shared counter", unsafe.Sizeof(atomic.Uint64{}))),
		}},
		{"size of an lwp.LWP", size("", unsafe.Sizeof(lwp.LWP{})), []line{
			beside(size("xsync.RToken", unsafe.Sizeof(xsync.RToken{}))),
		}},
	}
}
