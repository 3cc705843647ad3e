package million

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"github.com/softnet-go/softnet/examples/internal/lesson"
	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/netisr"
	"github.com/softnet-go/softnet/pfsync"
	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
	"github.com/softnet-go/softnet/wqinput"
)

// Program is this folder on the list of the gallery.
var Program = lesson.Program{
	Name:  "million",
	Title: "has a firewall that has just come told of a million states of another, and compares each",
	Run:   run,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("million", flag.ContinueOnError)
	fs.SetOutput(stderr)
	n := fs.Int("states", 1_000_000, "how many states")
	burst := fs.Int("burst", 16, "packets sent at once, each millisecond")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || fs.NArg() > 0 || *n < 1 || *burst < 1 {
		return 2
	}
	if err := transfer(ctx, stdout, *n, *burst); err != nil {
		fmt.Fprintln(stdout, "FAILED:", err)
		return 1
	}
	return 0
}

// A firewall is one with an interface to the other.
type firewall struct {
	ifs  *ifnet.Table
	l    *lwp.LWP
	isr  *netisr.ISR
	send *netisr.SendQueue
	tab  *pf.Table
	dev  *pfsync.Device
	ifp  ifnet.ID
	// closing is what was opened, in that order.
	closing []func(context.Context) error
}

const queued = 8192 // packets, wherever they wait: nobody is to lose any for want of room

func open(port *ifnet.Port, number byte, states, burst int) (*firewall, error) {
	dom := lwp.NewDomain()
	f := &firewall{l: dom.Bind(), ifs: ifnet.NewTable(dom, ifnet.WithPool(mbuf.NewPool(mbuf.PoolConfig{})))}
	f.isr = netisr.New(netisr.Config{Ifs: f.ifs, Streams: 1, MaxQLimit: queued})
	f.send = netisr.NewSendQueue(netisr.SendConfig{Ifs: f.ifs, Streams: 2})
	f.tab = pf.New(dom, pf.Config{HostID: uint32(number), Limit: states, Timeouts: patience()})
	f.later(func(ctx context.Context) error { return f.isr.Close(ctx, f.l) })
	f.later(func(ctx context.Context) error { return f.send.Close(ctx, f.l) })
	f.later(f.tab.Close)
	if _, err := f.isr.Register(netisr.Handler{Name: "ether", Proto: 1, Policy: netisr.PolicySource, QLimit: queued, Handle: f.input}); err != nil {
		return f, err
	}
	f.ifs.SetInput(f.isr.Input(1))
	ifp, err := f.ifs.Attach(ifnet.Spec{
		Name: "sync0", Driver: port, MAC: ifnet.MAC{2, 5: number}, Up: true,
		Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, number}), 24)},
	})
	if err != nil {
		return f, err
	}
	f.ifp = ifp.ID()
	f.later(func(ctx context.Context) error { return f.ifs.Detach(ctx, f.l, f.ifp) })
	f.dev, err = pfsync.New(pfsync.Config{
		Table: f.tab, Ifs: f.ifs, Send: f.send, Dev: f.ifp, BulkBurst: burst,
		Input: []wqinput.Option{wqinput.WithStreams(1), wqinput.WithLimit(queued)},
	})
	if err == nil {
		f.later(func(ctx context.Context) error { return f.dev.Close(ctx, f.l) })
	}
	return f, err
}

// patience is timeouts by which nothing is over, however many states there are.
func patience() *pf.Timeouts {
	ts := pf.DefaultTimeouts()
	for i := range ts[:pf.Fragment] {
		ts[i] = 86400
	}
	ts[pf.AdaptiveEnd] = 0
	return &ts
}

func (f *firewall) later(do func(context.Context) error) { f.closing = append(f.closing, do) }

func (f *firewall) close(ctx context.Context) (err error) {
	for i := len(f.closing) - 1; i >= 0; i-- {
		err = errors.Join(err, f.closing[i](ctx))
	}
	f.l.Unbind()
	return err
}

// input is all that the firewall knows of IP.
func (f *firewall) input(c *netisr.Ctx, m *mbuf.Packet) {
	if !c.In.Receive(m) {
		return
	}
	_, _, ok := ifnet.PullEther(m)
	if b := m.Bytes(); ok && m.EtherType == ifnet.EtherIPv4 && len(b) >= 20 && b[9] == wire.Protocol {
		_ = f.dev.Queue().Input(m, 20, wire.Protocol)
		return
	}
	m.Free(mbuf.NoProto)
}

// fill makes states, as different from each other as may be.
func (f *firewall) fill(n int) error {
	rng := rand.New(rand.NewPCG(1, 2))
	protos := [...]uint8{pf.TCP, pf.UDP, pf.ICMP, 47}
	for i := range uint32(n) {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(rng.Uint32()))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.Uint32())}), uint16(rng.Uint32()))
		dir := pf.Dir(1 + i%2)
		k := pf.KeyOf(dir, protos[rng.IntN(len(protos))], src, dst)
		if _, err := f.tab.Insert(f.l, k, k, dir, ""); err != nil {
			return err
		}
	}
	return nil
}

// transfer is the story: one firewall has states, the other asks for them.
func transfer(ctx context.Context, out io.Writer, n, burst int) (err error) {
	pa, pb := ifnet.NewPair()
	a, err := open(pa, 1, n, burst)
	defer func() { err = errors.Join(err, a.close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	before := heap()
	if err := a.fill(n); err != nil {
		return err
	}
	fmt.Fprintf(out, "a has %d states, which take %.0f bytes each; tables were made before\n", n, float64(heap()-before)/float64(n))
	b, err := open(pb, 2, n, burst)
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	if err != nil {
		return err
	}
	if err := a.dev.Up(ctx, a.l); err != nil {
		return err
	}
	start := time.Now()
	if err := b.dev.Up(ctx, b.l); err != nil {
		return err
	}
	for tick := time.NewTicker(time.Second); b.dev.Stats().Phase != pfsync.PhaseDone; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-tick.C:
			fmt.Fprintf(out, "%5.1fs  b is in phase %v and knows %d states\n", time.Since(start).Seconds(), b.dev.Stats().Phase, b.tab.Len())
		}
	}
	took := time.Since(start)
	fmt.Fprintf(out, "%5.1fs  b is done, and knows %d states: %.0f a second, where OpenBSD's pace is 250\n", took.Seconds(), b.tab.Len(), float64(n)/took.Seconds())
	return compare(out, a, b)
}

// compare holds each state of one against the other's.
func compare(out io.Writer, a, b *firewall) error {
	if a.tab.Len() != b.tab.Len() {
		return fmt.Errorf("a has %d states and b %d", a.tab.Len(), b.tab.Len())
	}
	n := 0
	for st := range a.tab.All() {
		other := b.tab.ByID(st.ID())
		if other == nil {
			return fmt.Errorf("b does not know %v", st.ID())
		}
		var ours, theirs wire.State
		st.Export(&ours, 0)
		other.Export(&theirs, 0)
		ours.Age, ours.Expire, theirs.Age, theirs.Expire = 0, 0, 0, 0 // by clocks of their own
		if ours != theirs {
			return fmt.Errorf("they disagree about %v: %+v, %+v", st.ID(), ours, theirs)
		}
		n++
	}
	fmt.Fprintf(out, "both agree about each of %d states\n", n)
	return nil
}

// heap returns how much memory is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
