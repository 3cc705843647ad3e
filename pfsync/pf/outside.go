package pf

import "github.com/softnet-go/softnet/mbuf"

// An Outside is what somebody who is not pf remembers a state with: a socket that wants to skip
// looking it up, divert-to (struct inpcb's inp_pf_sk). It is embedded there. A state is remembered by
// one at a time, and forgotten when it is taken down, or when they are closed, whichever comes first.
// The zero Outside remembers nothing.
type Outside struct{ st *State } // guarded by Table.outside

// Remember has o remember a state, in place of the one that it remembered, and reports whether it
// does: not one that has been taken down, and not one that somebody else remembers
// (pf_inp_link).
func (t *Table) Remember(o *Outside, st *State) bool {
	t.Forgo(o)
	if !st.Hold() {
		return false
	}
	t.outside.Lock()
	ok := st.link == nil && o.st == nil && st.linked()
	if ok {
		o.st, st.link = st, o
	}
	t.outside.Unlock()
	if !ok {
		st.Release()
	}
	return ok
}

// linked reports whether the state has not been taken down. Who takes it down marks it first, and
// looks for who remembers it afterwards.
func (st *State) linked() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.timeout != Unlinked
}

// Recall returns, with a reference, the state that o remembers, or nil.
func (t *Table) Recall(o *Outside) *State {
	t.outside.Lock()
	defer t.outside.Unlock()
	if o.st == nil || !o.st.Hold() {
		return nil
	}
	return o.st
}

// Forgo has o forget its state, because its owner closes (pf_inp_unlink).
func (t *Table) Forgo(o *Outside) {
	t.outside.Lock()
	st := o.st
	if st != nil {
		o.st, st.link = nil, nil
	}
	t.outside.Unlock()
	if st != nil {
		st.Release()
	}
}

// unlinkOutside has whoever remembers a state that has been taken down forget it.
func (t *Table) unlinkOutside(st *State) {
	t.outside.Lock()
	o := st.link
	if o != nil {
		o.st, st.link = nil, nil
	}
	t.outside.Unlock()
	if o != nil {
		st.Release()
	}
}

// Tag is how a packet that waits refers to the state that let it through: set it with a reference
// ([State.Hold]), which goes with the packet.
var Tag = mbuf.NewTagKey("pf state", mbuf.TagOptions[*State]{Free: (*State).Release})
