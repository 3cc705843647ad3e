package seedcache

import (
	"net/netip"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/witness"
)

// rtcacheLock is the class of every set's lock, to be taken before rt_lock.
var rtcacheLock = witness.NewClass("rtcache_lock")

// A Set is all the caches of a table, which is changed through it alone.
type Set struct {
	rt   *rtable.Table
	lock witness.RWMutex // rtcache_lock

	mu  hook.Mutex // leaf
	all []*Cache   // guarded by mu
}

// New returns a set without caches.
func New(rt *rtable.Table) *Set {
	s := &Set{rt: rt}
	s.lock.Init(rtcacheLock)
	return s
}

// A Cache knows one destination. It is for one user at a time, and does not check that.
type Cache struct {
	s     *Set
	dst   netip.Addr
	e     *rtable.Entry
	valid hook.Bool // cleared under the lock for writing
	gen   uint64
	ref   psref.Ref
}

// NewCache returns an empty cache of the set.
func (s *Set) NewCache() *Cache {
	c := &Cache{s: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c)
	return c
}

// Lookup returns the entry for dst and holds it until Release.
func (c *Cache) Lookup(l *lwp.LWP, dst netip.Addr) (*rtable.Entry, error) {
	s := c.s
	s.lock.RLock()
	defer s.lock.RUnlock()
	if c.valid.Load() && c.dst == dst && s.rt.Again(l, &c.ref, c.e, c.gen) {
		return c.e, nil
	}
	gen := s.rt.Generation()
	e, err := s.rt.Get(l, &c.ref, dst)
	if err != nil {
		return nil, err
	}
	c.dst, c.e, c.gen = dst, e, gen
	c.valid.Store(true)
	return e, nil
}

// Release lets go of what Lookup returned.
func (c *Cache) Release(l *lwp.LWP) { c.ref.Release(l) }

// Change changes the table, and then tells all caches.
func (s *Set) Change(f func(rt *rtable.Table) error) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	err := f(s.rt)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		c.valid.Store(false)
	}
	return err
}
