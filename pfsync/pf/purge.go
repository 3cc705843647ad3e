package pf

import (
	"time"

	"github.com/softnet-go/softnet/lwp"
)

// batch is how many states are taken down with the table locked, before others have their turn.
const batch = 64

// purger looks at every state once in an interval, some of them each second.
func (t *Table) purger() {
	defer close(t.stopped)
	l := t.dom.Bind()
	defer l.Unbind()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			if looked, _ := t.Purge(l, n); looked < n || n == 0 { // it begins again
				n = max(batch, 1+t.Len()/int(max(t.timeouts[Interval], 1)))
			}
		}
	}
}

// Purge looks at the next n states of the list, or as many as there are to its end, and takes those
// down that are over (pf_purge_expired_states). It returns how many it has looked at, and how many
// have left the list. The list is only read while it is looked at; the table is locked for a batch
// at a time, and what has been used in between is spared. l may not be a softint.
func (t *Table) Purge(l *lwp.LWP, n int) (looked, gone int) {
	t.purging.Lock()
	defer t.purging.Unlock()
	for looked < n {
		k, over, end := t.scan(n - looked)
		looked += k
		gone += t.take(l, over)
		if end || k == 0 {
			break
		}
	}
	return looked, gone
}

// scan collects, with references, states that are over.
func (t *Table) scan(n int) (looked int, over []*State, end bool) {
	t.list.RLock()
	defer t.list.RUnlock()
	now := t.Now()
	from, to := t.cursor, (*State)(nil)
	if first, last := t.Ends(); from == nil {
		from, to = first, last
	} else {
		to = last
	}
	t.cursor = nil
	if from == nil {
		return 0, nil, true
	}
	for st := range t.walk(from, to) {
		if looked == n || len(over) == batch {
			t.cursor = st // only we take states off the list: it will be there
			return looked, over, false
		}
		looked++
		if st.over(now) && st.Hold() {
			over = append(over, st)
		}
	}
	return looked, over, true
}

// over reports whether nobody would miss the state.
func (st *State) over(now uint32) bool {
	n := int(st.kif.table.states.Load())
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.timeouts().expiresAt(st.timeout, st.expire, n) <= now
}

// timeouts returns those of the state's rule. mu is held.
func (st *State) timeouts() *Timeouts {
	if st.rule != nil && st.rule.Timeouts != nil {
		return st.rule.Timeouts
	}
	return &st.kif.table.timeouts
}

// take takes states down, and off the list.
func (t *Table) take(l *lwp.LWP, over []*State) (gone int) {
	if len(over) == 0 {
		return 0
	}
	t.list.Lock()
	t.lock.Lock()
	now := t.Now()
	for _, st := range over {
		if st.over(now) { // still
			t.remove(l, st)
			if t.free(l, st) {
				gone++
			}
		}
	}
	t.lock.Unlock()
	t.list.Unlock()
	for _, st := range over {
		st.Release()
	}
	return gone
}

// free takes a state off the list, unless a syncer stands on it: the next purge tries again. Both
// locks are held.
func (t *Table) free(l *lwp.LWP, st *State) bool {
	s := t.psz.ReadEnter(l)
	sy := t.sync.Load()
	inUse := sy != nil && (*sy).InUse(st)
	s.Exit()
	if inUse {
		return false
	}
	if st.rule != nil {
		st.rule.states--
	}
	t.tail.Lock()
	if st.back != nil {
		st.back.list = st.list
	} else {
		t.head = st.list
	}
	if st.list != nil {
		st.list.back = st.back
	} else {
		t.last = st.back
	}
	st.list, st.back = nil, nil
	t.tail.Unlock()
	t.states.Add(-1)
	st.Release()
	return true
}
