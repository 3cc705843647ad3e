package forward

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/rtable"
	"github.com/softnet-go/softnet/rtcache"
)

// A router is a routing table, the gateways its routes lead to, and the books.
type router struct {
	dom    *lwp.Domain
	table  *rtable.Table
	caches *rtcache.PerLWP
	psz    *pserialize.Serializer // its sections cover finding a gateway in its place
	class  *psref.Class           // of the gateways
	places [gateways]atomic.Pointer[gateway]
	unsafe string
	path   *path

	looking chan uint32 // gateways that are to be renewed while somebody looks at them
	faults  faults
	changes
}

func newRouter(unsafe string) *router {
	dom := lwp.NewDomain()
	r := &router{dom: dom, table: rtable.New(dom), caches: rtcache.NewPerLWP(dom, 0), psz: pserialize.New(dom), class: psref.NewClass(dom, "gateway"),
		unsafe: unsafe, looking: make(chan uint32)}
	for i := range r.places {
		r.install(i, 1, 1)
	}
	var err error
	if r.path, err = newPath(r); err != nil {
		panic(err) // names and numbers are ours
	}
	return r
}

// load adds the routes of prefixes, and says how far it is.
func (r *router) load(ps []netip.Prefix, progress io.Writer) error {
	fmt.Fprintf(progress, "loading %s routes:", thousands(len(ps)))
	told := 0
	err := r.table.Load(func(yield func(rtable.Route) bool) {
		for i, p := range ps {
			if !yield(routeTo(p, gatewayOf(p), 1)) {
				return
			}
			if quarters := 4 * (i + 1) / len(ps); quarters > told {
				told = quarters
				fmt.Fprintf(progress, " %d %%", 25*told)
			}
		}
	})
	fmt.Fprintln(progress)
	return err
}

// close frees everything, and says what is still held.
func (r *router) close(ctx context.Context) {
	l := r.dom.Bind()
	defer l.Unbind()
	r.path.close(ctx, l)
	for i := range r.places {
		if g := r.install(i, 0, 0); g != nil {
			r.retire(ctx, l, g)
		}
	}
	if err := r.table.Close(ctx); err != nil {
		r.faults.add(stuck, "%d routes", r.table.Stats().Trash)
	}
}

// closeWithin is how long everything may take to be let go of at the end.
const closeWithin = 2 * time.Minute

// forward does what c says with prefixes, and returns what came of it.
func forward(ctx context.Context, c config, ps []netip.Prefix, progress io.Writer) (*report, error) {
	r, rep := newRouter(c.unsafe), newReport(c, ps)
	start := time.Now()
	if err := r.load(ps, progress); err != nil {
		return nil, err
	}
	rep.LoadSeconds = time.Since(start).Seconds()
	rep.HeapBytes = heap()

	tr := newTraffic(c.random(0), ps)
	workers := make([]*worker, c.workers)
	for i := range workers {
		workers[i] = &worker{r: r, softint: i%2 == 1, dests: tr.draw(c.random(uint64(i)+10), destsEach)}
	}
	running, cancel := context.WithTimeout(ctx, c.duration)
	defer cancel()
	patient, giveUp := context.WithTimeout(context.WithoutCancel(ctx), c.duration+closeWithin)
	defer giveUp()
	r.faults.start = time.Now()
	if c.untilCaught {
		r.faults.onAdd = cancel
	}

	var stop atomic.Bool // what running's end is to workers, who look often
	context.AfterFunc(running, func() { stop.Store(true) })
	var forwarding, changing sync.WaitGroup
	for _, w := range workers {
		forwarding.Go(func() { w.run(&stop) })
	}
	frames := tr.draw(c.random(4), destsEach)
	forwarding.Go(func() { r.path.generate(running, frames, c.frames) })
	if c.churn > 0 {
		changing.Go(func() { r.flap(running, c.random(1), tr.flapping, c.churn) })
		changing.Go(func() { r.update(running, c.random(3), tr.flapping) })
		changing.Go(func() { r.renew(running, patient, c.random(2)) })
		changing.Go(func() { r.leave(running, patient, tr.leavers()) })
	}
	tell(running, r, workers, progress)

	forwarding.Wait()
	rep.Seconds = time.Since(r.faults.start).Seconds()
	rep.Interrupted = ctx.Err() != nil
	atEnd := r.table.Stats()
	changing.Wait()
	r.close(patient)
	var total counts
	for _, w := range workers {
		total.add(w.counts)
	}
	rep.finish(r, total, atEnd)
	return rep, nil
}

// heap returns how much memory is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// tell says each second how it goes, until ctx ends.
func tell(ctx context.Context, r *router, workers []*worker, progress io.Writer) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for sent := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			before := sent
			sent = 0
			for _, w := range workers {
				sent += w.told.Load()
			}
			st := r.table.Stats()
			fmt.Fprintf(progress, "%4.0f s  %5.2f M packets/s  %s routes, %s waiting to be freed, %s violations\n",
				time.Since(r.faults.start).Seconds(), float64(sent-before)/1e6, thousands(st.Routes), thousands(st.Trash), thousands(r.faults.total()))
		}
	}
}
