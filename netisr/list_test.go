package netisr_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
)

// A burst is as many packets, each accepted or refused on its own.
func TestQueueList_IsQueueForEach(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 2})
	var got []int
	r := st.register(i, netisr.Handler{QLimit: 40, Handle: diary(&got)})
	em0, gone := st.attach(), st.attach()
	st.detach(gone)
	var l mbuf.List
	for n := range 100 { // flow 0 and 1 by turns, and every tenth by an interface that has gone
		in := em0
		if n%10 == 9 {
			in = gone
		}
		l.Push(st.packet(in, uint32(n%2), n))
	}
	n, err := i.QueueList(1, &l)
	require.ErrorIs(t, err, netisr.ErrIfDeparted, "the first that was refused")
	require.Equal(t, 80, n)
	require.Zero(t, l.Len())
	w := lawful(t, r)
	require.EqualValues(t, []uint64{80, 10, 10}, []uint64{w.Queued, w.RefusedIf, w.QDrops})
	require.Equal(t, 80, i.RunUntilIdle())
	var want []int
	for n := range 80 { // of the even ones 40 fit, the odd ones are 40 without those that have gone
		want = append(want, 2*n)
		if n == 39 {
			break
		}
	}
	for n := range 50 {
		if m := 2*n + 1; m%10 != 9 {
			want = append(want, m)
		}
	}
	require.Equal(t, want, got)
	st.end(i, 100, r)
}

func TestQueueList_WithoutAProtocolFreesAll(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true})
	var l mbuf.List
	for n := range 3 {
		l.Push(st.packet(ifnet.ID{}, 0, n))
	}
	n, err := i.QueueList(7, &l)
	require.ErrorIs(t, err, netisr.ErrNoProto)
	require.Zero(t, n+l.Len())
	require.EqualValues(t, 3, i.Snapshot().Unknown)
	st.end(i, 0)
}

func TestQueueList_WhatSteeringConsumesIsASteerDrop(t *testing.T) {
	st := newStack(t)
	i := st.isr(netisr.Config{Manual: true, Streams: 2})
	var got []int
	r := st.register(i, netisr.Handler{Handle: diary(&got), M2Flow: func(m *mbuf.Packet, _ uint64) *mbuf.Packet {
		if number(m) == 1 {
			m.Free(mbuf.Steer)
			return nil
		}
		return m
	}})
	var l mbuf.List
	for n := range 3 {
		m := st.packet(ifnet.ID{}, 0, n)
		m.Hash = mbuf.HashNone
		l.Push(m)
	}
	n, err := i.QueueList(1, &l)
	require.ErrorIs(t, err, netisr.ErrNoBufs)
	require.Equal(t, 2, n)
	i.RunUntilIdle()
	require.Equal(t, []int{0, 2}, got)
	require.EqualValues(t, 1, lawful(t, r).SteerDrops)
	st.end(i, 3, r)
}

func TestQueueList_WakesTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStack(t)
		i := st.isr(netisr.Config{Streams: 2})
		r := st.register(i, netisr.Handler{Handle: func(_ *netisr.Ctx, m *mbuf.Packet) { m.Free(mbuf.Done) }})
		synctest.Wait() // they sleep
		var l mbuf.List
		for n := range 10 {
			l.Push(st.packet(ifnet.ID{}, uint32(n), n))
		}
		n, err := i.QueueList(1, &l)
		require.NoError(t, err)
		require.Equal(t, 10, n)
		synctest.Wait()
		require.EqualValues(t, 10, lawful(t, r).Handled)
		st.end(i, 10, r)
	})
}
