package pserializewindow

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/internal/event"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
)

// wrong moves a route to the end of the list by storing three links. Each store is atomic
// and leaves a list that is whole: a reader who starts at any moment finds its way.
func wrong(r *event.Recorder) (broken error) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	a, b, c := &route{dst: "10.1.0.0/16"}, &route{dst: "10.2.0.0/16"}, &route{dst: "10.3.0.0/16"}
	var head atomic.Pointer[route]
	head.Store(a)
	a.next.Store(b)
	b.next.Store(c)
	reader := &lookup{r: r, dst: c.dst, slow: b.dst, there: make(chan struct{})}
	var wg sync.WaitGroup

	wg.Go(func() {
		l := dom.Bind()
		defer l.Unbind()
		s := psz.ReadEnter(l)
		defer s.Exit()
		for rt := head.Load(); rt != nil; rt = rt.next.Load() {
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
		a.next.Store(c)
		b.age.Add(1)
		r.Record("writer", "take off", b.dst, "")

		// ...and then it comes last. The reader's way on led through this link.
		b.next.Store(nil)
		b.age.Add(1)
		c.next.Store(b)
		r.Record("writer", "insert last", b.dst, "")
	})

	wg.Wait()
	return broken
}
