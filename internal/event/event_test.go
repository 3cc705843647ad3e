package event_test

import (
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/event"
)

func TestRecorder_NilRecordsNothingForNothing(t *testing.T) {
	var r *event.Recorder
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Record("reader", "acquire", "em0", "") }))
}

func TestRecorder_StampsVirtualTimeAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := event.NewRing(8)
		r := event.New(ring)
		r.Record("reader", "acquire", "em0", "")
		time.Sleep(time.Second)
		r.Record("writer", "destroy", "em0", "held")
		require.Equal(t, []event.Event{
			{At: 0, Seq: 1, Actor: "reader", Verb: "acquire", Object: "em0"},
			{At: time.Second, Seq: 2, Actor: "writer", Verb: "destroy", Object: "em0", Detail: "held"},
		}, ring.Events())
	})
}

func TestRecorder_ConcurrentRecordsHaveAllNumbersOnce(t *testing.T) {
	const actors, each = 8, 200
	ring := event.NewRing(actors * each)
	r := event.New(ring)
	var wg sync.WaitGroup
	for i := range actors {
		wg.Go(func() {
			for n := range each {
				r.Record(strconv.Itoa(i), "say", "", strconv.Itoa(n))
			}
		})
	}
	wg.Wait()

	evs := ring.Events()
	require.Len(t, evs, actors*each)
	said := map[string]int{}
	for i, e := range evs {
		require.EqualValues(t, i+1, e.Seq)
		require.Equal(t, strconv.Itoa(said[e.Actor]), e.Detail, "an actor's own events are in its order")
		said[e.Actor]++
	}
	require.Zero(t, ring.Overwritten())
}

func TestRing_KeepsTheNewestAndCountsTheRest(t *testing.T) {
	ring := event.NewRing(3)
	require.Empty(t, ring.Events())
	for n := range uint64(5) {
		ring.Emit(event.Event{Seq: n + 1})
		require.EqualValues(t, max(n+1, 3)-3, ring.Overwritten())
	}
	require.Equal(t, []event.Event{{Seq: 3}, {Seq: 4}, {Seq: 5}}, ring.Events())
}

func TestRing_ConcurrentWritersLeaveAFullRing(t *testing.T) {
	ring := event.NewRing(4)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				ring.Emit(event.Event{Verb: "x"})
				ring.Events()
			}
		})
	}
	wg.Wait()
	require.Len(t, ring.Events(), 4)
	require.EqualValues(t, 4*500-4, ring.Overwritten())
}

func TestRing_OfNothingIsRefused(t *testing.T) {
	require.Panics(t, func() { event.NewRing(0) })
}

func TestEvent_SaysWhatItHas(t *testing.T) {
	for want, e := range map[string]event.Event{
		"acquire em0":             {Actor: "a", Verb: "acquire", Object: "em0"},
		"acquire em0: it is gone": {Verb: "acquire", Object: "em0", Detail: "it is gone"},
		"sleep":                   {Verb: "sleep"},
		"sleep: 3 times":          {Verb: "sleep", Detail: "3 times"},
		"em0: down":               {Object: "em0", Detail: "down"},
		"why":                     {Detail: "why"},
		"":                        {Actor: "a"},
	} {
		require.Equal(t, want, e.String())
	}
}

func TestEvent_SurvivesJSON(t *testing.T) {
	e := event.Event{At: 3 * time.Second, Seq: 7, Actor: "a", Object: "o", Verb: "v", Detail: "d\n"}
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var back event.Event
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e, back)
}

func BenchmarkRecord(b *testing.B) {
	for name, r := range map[string]*event.Recorder{"sink=none": nil, "sink=ring": event.New(event.NewRing(1024))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Record("reader", "acquire", "em0", "")
			}
		})
	}
}
