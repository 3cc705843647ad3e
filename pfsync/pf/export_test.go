package pf

import "github.com/softnet-go/softnet/lwp"

// Bucket returns which chain of keys a key is in.
func (t *Table) Bucket(k Key) uint64 { return k.hash(t.seed) & t.mask }

// Scan and Take are the two halves of a purge.
func (t *Table) Scan(n int) []*State {
	_, over, _ := t.scan(n)
	return over
}

// Take takes down those that are over still.
func (t *Table) Take(l *lwp.LWP, over []*State) int { return t.take(l, over) }
