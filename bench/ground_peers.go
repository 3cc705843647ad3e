package main

import (
	"sync"
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"

	"github.com/softnet-go/softnet/internal/hook"
)

// Peers are what people use where they do not have this module.
type peers struct {
	rw      sync.RWMutex
	rb      *xsync.RBMutex
	counter *slot
	pool    sync.Pool
	guest
}

func newPeers() *peers {
	return &peers{
		rb:      xsync.NewRBMutex(),
		counter: new(slot),
		pool:    sync.Pool{New: func() any { return new(slot) }},
	}
}

func bareLoad(id, n int) {
	sum := 0
	for range n {
		sum += published.Load().field
	}
	own[id].sum = sum
}

func (p *peers) readLock(id, n int) {
	sum := 0
	for range n {
		p.rw.RLock()
		sum += published.Load().field
		p.rw.RUnlock()
	}
	own[id].sum = sum
}

func (p *peers) biasedReadLock(id, n int) {
	sum := 0
	for range n {
		t := p.rb.RLock()
		sum += published.Load().field
		p.rb.RUnlock(t)
	}
	own[id].sum = sum
}

func (p *peers) refCount(id, n int) {
	x, sum := p.counter, 0
	for range n {
		x.v.Add(1)
		sum += x.sum
		x.v.Add(^uint64(0))
	}
	own[id].sum = sum
}

func (p *peers) writeLock(_, n int) {
	for range n {
		p.rw.Lock()
		p.rw.Unlock()
	}
}

func (p *peers) writeLockAgainst(_, n int) {
	for range n {
		p.meet()
		p.rw.Lock()
		p.rw.Unlock()
	}
}

func (p *peers) look() {
	p.rw.RLock()
	p.stay()
	p.rw.RUnlock()
}

func (p *peers) biasedWriteLockAgainst(_, n int) {
	for range n {
		p.meet()
		p.rb.Lock()
		p.rb.Unlock()
	}
}

func (p *peers) biasedLook() {
	t := p.rb.RLock()
	p.stay()
	p.rb.RUnlock(t)
}

func (p *peers) getPut(_, n int) {
	for range n {
		p.pool.Put(p.pool.Get())
	}
}

// words are what somebody who looks at everybody reads at the least.
type words []*slot

func newWords(n int) words {
	ws := make(words, n)
	for i := range ws {
		ws[i] = new(slot)
	}
	return ws
}

func (ws words) scan(id, n int) {
	sum := uint64(0)
	for range n {
		for _, w := range ws {
			sum += w.v.Load()
		}
	}
	own[id].sum = int(sum)
}

// Doors are the same words and locks twice: behind internal/hook, and bare.
type doors struct {
	hookWord hook.Uint64
	hookPtr  hook.Pointer[thing]
	hookMu   hook.Mutex
	word     atomic.Uint64
	ptr      atomic.Pointer[thing]
	mu       sync.Mutex
	x        thing
}

func (d *doors) hookLoad(_, n int) {
	for range n {
		d.hookWord.Load()
	}
}

func (d *doors) load(_, n int) {
	for range n {
		d.word.Load()
	}
}

func (d *doors) hookSwap(_, n int) {
	for range n {
		d.hookWord.Swap(1)
	}
}

func (d *doors) swap(_, n int) {
	for range n {
		d.word.Swap(1)
	}
}

func (d *doors) hookCompareAndSwap(_, n int) {
	for range n {
		d.hookWord.CompareAndSwap(1, 1)
	}
}

func (d *doors) compareAndSwap(_, n int) {
	for range n {
		d.word.CompareAndSwap(1, 1)
	}
}

func (d *doors) hookLoadPointer(_, n int) {
	for range n {
		d.hookPtr.Load()
	}
}

func (d *doors) loadPointer(_, n int) {
	for range n {
		d.ptr.Load()
	}
}

func (d *doors) hookStorePointer(_, n int) {
	for range n {
		d.hookPtr.Store(&d.x)
	}
}

func (d *doors) storePointer(_, n int) {
	for range n {
		d.ptr.Store(&d.x)
	}
}

func (d *doors) hookLock(_, n int) {
	for range n {
		d.hookMu.Lock()
		d.hookMu.Unlock()
	}
}

func (d *doors) lock(_, n int) {
	for range n {
		d.mu.Lock()
		d.mu.Unlock()
	}
}
