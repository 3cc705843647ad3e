package rtable_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
)

// model is the specification of a table: longest prefix wins, by looking at all of them.
type model map[netip.Prefix]rtable.Route

func (m model) get(dst netip.Addr) (best rtable.Route, err error) {
	err = rtable.ErrNotFound
	for p, rt := range m {
		if p.Contains(dst.Unmap().WithZone("")) && (err != nil || p.Bits() > best.Dst.Bits()) {
			best, err = rt, nil
		}
	}
	return best, err
}

func (m model) add(rt rtable.Route) error {
	rt.Dst = rt.Dst.Masked()
	if _, exists := m[rt.Dst]; exists {
		return rtable.ErrExists
	}
	m[rt.Dst] = rt
	return nil
}

func (m model) delete(p netip.Prefix) error {
	if _, exists := m[p.Masked()]; !exists {
		return rtable.ErrNotFound
	}
	delete(m, p.Masked())
	return nil
}

// mustBe wants tab to have the same routes, in their order.
func (m model) mustBe(t require.TestingT, tab *rtable.Table) {
	want := slices.SortedFunc(maps.Values(m), func(a, b rtable.Route) int {
		return cmp.Or(a.Dst.Addr().Compare(b.Dst.Addr()), a.Dst.Bits()-b.Dst.Bits())
	})
	var got []rtable.Route
	for p, rt := range tab.All() {
		require.Equal(t, p, rt.Dst)
		got = append(got, rt)
	}
	if !slices.Equal(want, got) {
		require.Equal(t, want, got)
	}
	if got := slices.Collect(tab.Dump()); len(got) != len(want) {
		require.ElementsMatch(t, want, got)
	}
}

// The universe is small, so that prefixes nest and meet.
func drawAddr(t *rapid.T) netip.Addr {
	four := [4]byte{10, rapid.Byte().Draw(t, "b") & 3, rapid.Byte().Draw(t, "c") & 3, rapid.Byte().Draw(t, "d") & 1}
	six := [16]byte{0x20, 1, 0xd, 0xb8, four[1], 15: four[3]}
	return rapid.SampledFrom([]netip.Addr{
		netip.AddrFrom4(four),
		netip.AddrFrom4(four),
		netip.AddrFrom16(six),
		netip.AddrFrom16(six).WithZone("em0"),
		netip.AddrFrom16(netip.AddrFrom4(four).As16()),
	}).Draw(t, "addr")
}

func drawPrefix(t *rapid.T) netip.Prefix {
	a := drawAddr(t).Unmap()
	bits := []int{0, 7, 8, 14, 15, 16, 22, 24, 31, 32}
	if a.Is6() {
		bits = []int{0, 32, 38, 40, 64, 127, 128}
	}
	return netip.PrefixFrom(a, rapid.SampledFrom(bits).Draw(t, "bits"))
}

func drawRoute(t *rapid.T) rtable.Route {
	via := rapid.Uint32Range(1, 3).Draw(t, "via")
	p := drawPrefix(t)
	return rtable.Route{Dst: p, Gateway: gateway(via), Out: ifnet.ID{Index: via, Gen: 1}, Flags: upGateway | host(p)}
}

// gateway returns a gateway's address.
func gateway(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 192<<24|2<<8+n)))
}

// A machine is a table, its model, and those who hold entries.
type machine struct {
	dom     *lwp.Domain
	tab     *rtable.Table
	model   model
	who     []*lwp.LWP // 0 and 1 are threads, 2 and 3 softints
	held    []*holding
	dropped []*rtable.Entry // held once; some may still be in the table
	sub     *rtable.Subscription
	told    model // what the subscription says the table is
}

// up returns rt as it was when it was in the table.
func up(rt rtable.Route) rtable.Route {
	rt.Flags |= rtable.FlagUp
	return rt
}

// A holding is passive if it has an LWP, and counted otherwise.
type holding struct {
	l   *lwp.LWP
	ref psref.Ref
	e   *rtable.Entry
	rt  rtable.Route
}

func newMachine(t *rapid.T) *machine {
	m := &machine{dom: lwp.NewDomain(), model: model{}}
	m.tab = rtable.New(m.dom)
	m.who = []*lwp.LWP{m.dom.Bind(), m.dom.Bind(), m.dom.BindSoftint("a"), m.dom.BindSoftint("b")}
	if rapid.Bool().Draw(t, "large") { // in which few changes share the rest of the snapshot
		for i := range uint32(400) {
			require.NoError(t, m.model.add(rtable.Route{Dst: netip.PrefixFrom(gateway(i<<8), 26), Gateway: gateway(4), Out: em0, Flags: upGateway}))
		}
		require.NoError(t, m.tab.Load(maps.Values(m.model)))
	}
	m.subscribe()
	return m
}

func (m *machine) subscribe() {
	sub, rts := m.tab.Subscribe(3)
	m.sub = sub
	m.know(rts)
}

func (m *machine) know(rts []rtable.Route) {
	m.told = model{}
	for _, rt := range rts {
		m.told[rt.Dst] = rt
	}
}

// listen reads what there is to be read, and begins anew if something was lost.
func (m *machine) listen(t *rapid.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		msg, err := m.sub.Next(over)
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		switch msg.Type {
		case rtable.MsgAdd, rtable.MsgChange:
			m.told[msg.Route.Dst] = msg.Route
		case rtable.MsgDelete:
			delete(m.told, msg.Route.Dst)
		case rtable.MsgLost:
			require.NotZero(t, msg.Lost)
			m.know(m.sub.Resync())
		}
	}
	require.Equal(t, m.model, m.told, "what subscribers are told")
}

func (m *machine) add(t *rapid.T) {
	rt := drawRoute(t)
	require.ErrorIs(t, m.tab.Add(rt), m.model.add(rt))
}

func (m *machine) delete(t *rapid.T) {
	p := drawPrefix(t)
	require.ErrorIs(t, m.tab.Delete(p), m.model.delete(p))
}

func (m *machine) replace(t *rapid.T) {
	rt := drawRoute(t)
	want := error(nil)
	if _, there := m.model[rt.Dst.Masked()]; !there {
		want = rtable.ErrNotFound
	}
	require.ErrorIs(t, m.tab.Replace(rt), want)
	if want == nil {
		rt.Dst = rt.Dst.Masked()
		m.model[rt.Dst] = rt
	}
}

// change changes an entry, unless somebody holds it: then it would wait for the machine.
func (m *machine) change(t *rapid.T) {
	rt := drawRoute(t)
	p := rt.Dst.Masked()
	for _, h := range m.held {
		if h.e.Flags()&rtable.FlagUp != 0 && h.e.Dst() == p {
			t.Skip("held")
		}
	}
	done := make(chan error, 1)
	go func() {
		l := m.dom.Bind()
		defer l.Unbind()
		done <- m.tab.Change(context.Background(), l, rt)
	}()
	for range 4 { // one checkpoint for those who peek, one for those who hold
		synctest.Wait()
		m.who[2].Checkpoint()
		m.who[3].Checkpoint()
	}
	synctest.Wait()
	want := error(nil)
	if _, there := m.model[p]; !there {
		want = rtable.ErrNotFound
	}
	require.ErrorIs(t, <-done, want)
	if want == nil {
		rt.Dst = p
		m.model[p] = rt
	}
}

func (m *machine) batch(t *rapid.T) {
	next := maps.Clone(m.model)
	unlucky := errors.New("the batch is given up")
	n := rapid.IntRange(0, 8).Draw(t, "changes")
	fails := rapid.Bool().Draw(t, "fails")
	l, psz := m.dom.Bind(), pserialize.New(m.dom)
	defer l.Unbind()
	err := m.tab.Batch(func(b *rtable.Batch) error {
		for range n {
			if rapid.Bool().Draw(t, "add") {
				rt := drawRoute(t)
				require.ErrorIs(t, b.Add(rt), next.add(rt))
			} else {
				p := drawPrefix(t)
				require.ErrorIs(t, b.Delete(p), next.delete(p))
			}
		}
		for range 3 { // before the batch ends nothing is seen of it
			dst := drawAddr(t)
			want, wantErr := m.model.get(dst)
			s := psz.ReadEnter(l)
			hit := m.tab.Peek(l, dst)
			require.Equal(t, wantErr, hit.Err())
			if wantErr == nil {
				require.Equal(t, want, hit.Entry().Route())
			}
			s.Exit()
		}
		if fails {
			return unlucky
		}
		return nil
	})
	if fails {
		require.Equal(t, unlucky, err)
		return
	}
	require.NoError(t, err)
	m.model = next
}

func (m *machine) deleteMatching(t *rapid.T) {
	gw := gateway(rapid.Uint32Range(1, 3).Draw(t, "gateway"))
	before := len(m.model)
	maps.DeleteFunc(m.model, func(_ netip.Prefix, rt rtable.Route) bool { return rt.Gateway == gw })
	n, err := m.tab.DeleteMatching(func(rt rtable.Route) bool { return rt.Gateway == gw })
	require.NoError(t, err)
	require.Equal(t, before-len(m.model), n)
}

func (m *machine) get(t *rapid.T) {
	h := &holding{l: rapid.SampledFrom(m.who).Draw(t, "who")}
	dst := drawAddr(t)
	want, wantErr := m.model.get(dst)
	e, err := m.tab.Get(h.l, &h.ref, dst)
	require.Equal(t, wantErr, err)
	require.Equal(t, err == nil, h.ref.Held())
	if err == nil {
		h.e, h.rt = e, want
		m.held = append(m.held, h)
	}
}

func (m *machine) lookup(t *rapid.T) {
	h := &holding{}
	dst := drawAddr(t)
	want, wantErr := m.model.get(dst)
	e, err := m.tab.Lookup(context.Background(), m.who[rapid.IntRange(0, 3).Draw(t, "who")], dst)
	require.Equal(t, wantErr, err)
	if err == nil {
		h.e, h.rt = e, want
		m.held = append(m.held, h)
	}
}

func (m *machine) release(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing is held")
	}
	m.drop(rapid.IntRange(0, len(m.held)-1).Draw(t, "which"))
}

func (m *machine) drop(i int) {
	h := m.held[i]
	if h.l != nil {
		h.ref.Release(h.l)
	} else {
		h.e.Unref()
	}
	m.held = slices.Delete(m.held, i, i+1)
	m.dropped = append(m.dropped, h.e)
}

func (m *machine) checkpoint(t *rapid.T) {
	m.who[rapid.IntRange(2, 3).Draw(t, "who")].Checkpoint()
}

func (m *machine) check(t *rapid.T) {
	synctest.Wait() // the worker goes as far as it can
	m.model.mustBe(t, m.tab)
	st := m.tab.Stats()
	require.Equal(t, len(m.model), st.Routes)
	require.EqualValues(t, st.Routes, st.Adds-st.Deletes)
	require.EqualValues(t, st.Deletes, st.Freed+st.Trash)
	m.listen(t)
	for _, h := range m.held {
		require.False(t, h.e.Freed(), "%v was freed while %v holds it", h.e, h.l)
		require.Equal(t, h.rt, up(h.e.Route()))
		if h.e.Flags()&rtable.FlagUp != 0 {
			require.Equal(t, h.rt, m.model[h.rt.Dst], "what is up is in the table")
		}
	}
}

// finish lets go of everything, and closes the table whatever else has happened: a
// goroutine left behind would hide why.
func (m *machine) finish(t *rapid.T) {
	for len(m.held) > 0 {
		m.drop(0)
	}
	for _, l := range m.who {
		l.Unbind()
	}
	m.who = nil
	m.sub.Close()
	require.NoError(t, m.tab.Close(context.Background()))
}

func TestTable_DoesWhatTheModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := newMachine(t)
			defer m.finish(t)
			t.Repeat(map[string]func(*rapid.T){
				"add":            m.add,
				"delete":         m.delete,
				"batch":          m.batch,
				"deleteMatching": m.deleteMatching,
				"replace":        m.replace,
				"change":         m.change,
				"get":            m.get,
				"lookup":         m.lookup,
				"release":        m.release,
				"checkpoint":     m.checkpoint,
				"":               m.check,
			})
			m.finish(t)
			st := m.tab.Stats()
			require.Zero(t, st.Trash)
			require.Equal(t, st.Adds, st.Freed)
			for _, e := range m.dropped {
				require.True(t, e.Freed())
			}
		})
	})
}
