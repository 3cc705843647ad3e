package pserializewindow

import (
	"context"
	"sync"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
)

// right moves a route to the end of the list too, and waits for a grace period before
// it touches the link again.
func right(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	a, b, c := &route{dst: "10.1.0.0/16"}, &route{dst: "10.2.0.0/16"}, &route{dst: "10.3.0.0/16"}
	list := pserialize.NewList(psz, func(rt *route) *pserialize.Entry[route] { return &rt.entry })
	list.InsertHead(a)
	list.InsertAfter(a, b)
	list.InsertAfter(b, c)
	reader := &lookup{r: r, dst: c.dst, slow: b.dst, there: make(chan struct{})}
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		s := psz.ReadEnter(l)
		defer s.Exit()
		for rt := range list.All(s) {
			if !reader.visit(rt) {
				break
			}
		}
		broken = reader.end()
	})

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		<-reader.there
		time.Sleep(lesson.Step)

		// b is used least: it goes to the end. First it leaves the list. Its link stays,
		// so that a reader who stands on it can go on to c...
		list.Remove(b)
		b.age.Add(1)
		r.Record("writer", "take off", b.dst, "")

		// ...for as long as there is one.
		// TASK: delete the call of Perform (and the import of context). Who notices, and
		// what does it say?
		// TASK: while the writer waits here a new reader finds no b at all. Insert a
		// copy of b at the end first: what must be true of a reader who meets both?
		r.Record("writer", "wait", "", "for whoever stands on it")
		if err := psz.Perform(context.Background(), l); err != nil {
			panic(err)
		}
		st := psz.Stats()
		r.Record("writer", "waited", st.Longest.Round(time.Millisecond).String(), "")

		// Now it comes last.
		// TASK: delete the call of Init. What does InsertAfter say?
		b.entry.Init()
		b.age.Add(1)
		list.InsertAfter(c, b)
		r.Record("writer", "insert last", b.dst, "")
	})

	wg.Wait()
	return broken
}
