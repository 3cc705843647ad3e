package pfsync

import (
	"context"
	"errors"
	"time"

	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/wqinput"
)

// input takes a packet, in a thread (pfsync_input): it inserts states and takes others down, for which
// locks are waited for.
func (d *Device) input(_ context.Context, in *wqinput.Input) {
	d.stats.ipackets.Add(1)
	var ref psref.Ref
	r := d.enter(in.LWP, &ref)
	why := mbuf.NoListener
	if r != nil {
		why = r.input(in)
		ref.Release(in.LWP)
	}
	in.Packet.Free(why)
}

// enter returns what runs, referred to by ref, or nil.
func (d *Device) enter(l *lwp.LWP, ref *psref.Ref) (r *run) {
	s := d.psz.ReadEnter(l)
	defer s.Exit()
	if r = d.running.Load(); r != nil {
		d.class.AcquireIn(s, ref, &r.users)
	}
	return r
}

// input looks a packet over in the order in which its errors are counted, and takes its sections.
func (r *run) input(in *wqinput.Input) mbuf.Reason {
	m, st := in.Packet, &r.d.stats
	if m.In != r.dev {
		r.count(&st.badIf)
		return mbuf.Foreign
	}
	b := m.Bytes()
	if len(b) < ipLen || b[0]>>4 != 4 || in.Off > len(b) {
		r.count(&st.hdrops)
		return mbuf.Malformed
	}
	if b[8] != wire.TTL {
		r.count(&st.badTTL)
		return mbuf.Denied
	}
	body, err := wire.Open(b[in.Off:min(len(b), max(in.Off, int(be.Uint16(b[2:]))))])
	if err != nil {
		return r.bad(err)
	}
	st.ibytes.Add(uint64(len(body) + wire.HeaderLen))
	for len(body) > 0 {
		var s wire.Section
		if s, body, err = wire.Next(body); err != nil {
			return r.bad(err)
		}
		if s.Known() {
			r.section(in.LWP, s)
		}
	}
	return mbuf.Done
}

// bad counts what is wrong with a packet.
func (r *run) bad(err error) mbuf.Reason {
	st := &r.d.stats
	switch {
	case errors.Is(err, wire.ErrShort):
		r.count(&st.hdrops)
	case errors.Is(err, wire.ErrVersion):
		r.count(&st.badVer)
	case errors.Is(err, wire.ErrAction):
		r.count(&st.badAct)
	default:
		r.count(&st.badLen)
	}
	return mbuf.Malformed
}

func (r *run) count(c *hook.Uint64) { c.Add(1) }

// section takes the messages of one action.
func (r *run) section(l *lwp.LWP, s wire.Section) {
	var unknown []wire.ID
	for m := range s.Messages() {
		switch s.Action {
		case wire.CLR:
			r.clear(l, wire.ParseClear(m))
		case wire.INS:
			if !r.insert(l, m) {
				return // there is no room for more
			}
		case wire.INSACK:
			if st := r.table.ByID(wire.ParseID(m)); st != nil {
				r.acknowledge(st)
			}
		case wire.UPD:
			r.update(l, m)
		case wire.UPDC:
			if id, ok := r.updateC(l, m); !ok {
				unknown = append(unknown, id)
			}
		case wire.UPDREQ:
			r.request(wire.ParseID(m))
		case wire.DEL:
			r.remove(l, wire.ParseState(m).ID)
		case wire.DELC:
			r.remove(l, wire.ParseID(m))
		case wire.BUS:
			r.bus(wire.ParseBulk(m))
			return // the others of the section mean nothing
		case wire.TDB:
			r.tunnel(wire.ParseTunnel(m))
		}
	}
	r.ask(unknown)
}

func (r *run) clear(l *lwp.LWP, c wire.Clear) { r.table.Forget(l, c.Creator, c.IfName.String()) }

// insert inserts a state, and reports whether there is any sense in trying the next.
func (r *run) insert(l *lwp.LWP, m []byte) bool {
	w := wire.ParseState(m)
	if err := w.CheckInsert(); err != nil {
		r.count(&r.d.stats.badVal)
		return true
	}
	_, err := r.table.Import(l, &w)
	return !errors.Is(err, pf.ErrLimit) && !errors.Is(err, pf.ErrClosed)
}

// acknowledge sends what was held back until a peer knows a state.
func (r *run) acknowledge(st *pf.State) {
	s := r.slice(st)
	s.lock()
	out := s.release(st)
	s.mu.Unlock()
	r.forward(out)
}

func (r *run) update(l *lwp.LWP, m []byte) {
	r.event(BulkUpdate)
	w := wire.ParseState(m)
	if w.CheckUpdate() != nil {
		r.count(&r.d.stats.badVal)
		return
	}
	st := r.table.ByID(w.ID)
	if st == nil {
		if _, err := r.table.Import(l, &w); err != nil {
			r.count(&r.d.stats.badState)
		}
		return
	}
	r.merge(l, st, &w.Src, &w.Dst, w.Timeout)
}

// updateC takes an update, and reports false if there is no such state to be updated.
func (r *run) updateC(l *lwp.LWP, m []byte) (id wire.ID, ok bool) {
	u := wire.ParseUpdate(m)
	if u.Check() != nil {
		r.count(&r.d.stats.badVal)
		return id, true
	}
	st := r.table.ByID(u.ID)
	if st == nil {
		return u.ID, false
	}
	r.merge(l, st, &u.Src, &u.Dst, u.Timeout)
	return id, true
}

// merge takes over what the peer knows better. Of what we know better it is told.
func (r *run) merge(l *lwp.LWP, st *pf.State, src, dst *wire.Peer, timeout uint8) {
	r.acknowledge(st) // it knows the state
	if st.Merge(src, dst, pf.Timeout(timeout)) {
		r.count(&r.d.stats.stale)
		r.table.Update(l, st)
	}
}

// request answers who does not know a state, or none of them.
func (r *run) request(id wire.ID) {
	if id == (wire.ID{}) {
		r.mu.Lock()
		r.asked = true
		r.wake.Signal()
		r.mu.Unlock()
		return
	}
	st := r.table.ByID(id)
	if st == nil || st.Timeout() == pf.Unlinked || st.Flags()&pf.NoSync != 0 {
		r.count(&r.d.stats.badState)
		return
	}
	s := r.slice(st)
	s.lock()
	s.request(st)
	s.mu.Unlock()
}

func (r *run) remove(l *lwp.LWP, id wire.ID) {
	st := r.table.ByID(id)
	if st == nil {
		r.count(&r.d.stats.badState)
		return
	}
	r.table.RemoveSilently(l, st)
}

func (r *run) bus(u wire.Bulk) {
	switch u.Status {
	case wire.BulkStart:
		r.event(BulkStart)
	case wire.BulkEnd:
		r.event(BulkEnd)
	}
}

func (r *run) tunnel(w wire.Tunnel) {
	dst, ok := unsockaddr(w.Dst)
	if w.SPI <= 255 || !ok {
		r.count(&r.d.stats.badState)
		return
	}
	if t := r.d.c.Tunnels.Find(TunnelKey{SPI: w.SPI, Dst: dst, Proto: w.Proto, RDomain: w.RDomain}); t != nil {
		t.take(&w)
	}
}

// ask asks for states that are not known here.
func (r *run) ask(ids []wire.ID) {
	most := (r.mtu - empty - wire.SubheaderLen) / wire.UPDREQ.Size()
	for len(ids) > 0 {
		n := min(len(ids), most)
		m := r.packet(wire.UPDREQ, n)
		if m == nil {
			return
		}
		b := body(m)
		for _, id := range ids[:n] {
			b = id.Append(b)
		}
		finish(m, b)
		_ = r.out.hand(m)
		ids = ids[n:]
	}
}

// event has the request machine take an event. What it wants done the worker does.
func (r *run) event(e Event) {
	r.mu.Lock()
	r.step(e, time.Now())
	r.mu.Unlock()
}
