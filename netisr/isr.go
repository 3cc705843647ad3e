package netisr

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"go.uber.org/atomic"

	"github.com/softnet-go/softnet/ifnet"
	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// A Proto is the number of a protocol of an ISR, from 1 to MaxProto (NETISR_IP and the like).
type Proto uint8

// MaxProto is the greatest Proto.
const MaxProto = 15

// A Policy says how packets of a protocol find their stream.
type Policy int

// The policies. Order is kept within a stream, so they say what keeps its order.
const (
	PolicySource Policy = 1 + iota // by the interface they came by, and a number their caller gives
	PolicyFlow                     // by their FlowID; those without as with PolicySource
	PolicyCPU                      // by Handler.M2CPU
)

// A DispatchMode says who runs a handler.
type DispatchMode int

// The modes.
const (
	ModeDefault  DispatchMode = iota // the ISR's, which is ModeDeferred unless Config says otherwise
	ModeDeferred                     // the worker of the stream, later
	ModeHybrid                       // the caller of Dispatch if the stream is idle, else the worker
	ModeDirect                       // the caller of Dispatch, at once, whatever is queued
)

// String returns what the mode is called in net.isr.dispatch.
func (m DispatchMode) String() string {
	return [...]string{"default", "deferred", "hybrid", "direct"}[m]
}

// CPUNone is what Handler.M2CPU returns when it has no idea.
const CPUNone = -1

const (
	// DefaultQLimit is net.isr.defaultqlimit.
	DefaultQLimit = 256
	// MaxQLimit is net.isr.maxqlimit.
	MaxQLimit = 10240
	// MaxDepth is how deep handlers of ModeDirect may dispatch to each other. What is deeper is
	// queued: FreeBSD goes on until the stack ends.
	MaxDepth = 16
)

// A Handler is who takes a protocol's packets (struct netisr_handler).
type Handler struct {
	Name  string // 1 to 31 bytes, without space and dot; unique
	Proto Proto

	// Handle takes a packet: ends it, hands it over or keeps it. It runs in a softint, or in who
	// called Dispatch: it may not sleep. It may call anything here but what waits.
	Handle func(c *Ctx, m *mbuf.Packet)

	// M2Flow gives a packet a FlowID, with PolicyFlow. If it returns nil it has consumed it.
	M2Flow func(m *mbuf.Packet, source uint64) *mbuf.Packet
	// M2CPU says which stream a packet belongs to, with PolicyCPU: any number, of which the
	// remainder counts, or CPUNone. If it returns nil it has consumed the packet.
	M2CPU func(m *mbuf.Packet, source uint64) (*mbuf.Packet, int)
	// Drained is told when a stream has handled what was queued when its turn began: time to
	// send more. The queue need not be empty. It is not told of what callers handle.
	Drained func(stream int)

	QLimit int // how many wait in a stream; DefaultQLimit if 0
	Policy Policy
	Mode   DispatchMode
}

// Config is what an ISR is made of.
type Config struct {
	Ifs  *ifnet.Table
	Name string // for reports; "netisr" if empty

	Streams       int          // net.isr.maxthreads: 1 if 0, GOMAXPROCS if negative
	DefaultQLimit int          // DefaultQLimit if 0
	MaxQLimit     int          // MaxQLimit if 0
	Mode          DispatchMode // ModeDeferred if ModeDefault
	// StrictHybrid has ModeHybrid run a handler in its caller only if that has said which CPU it
	// is, with ISR.On, and the packet belongs there.
	StrictHybrid bool
	BindThreads  bool // net.isr.bindthreads: a worker keeps its OS thread
	Manual       bool // there are no workers: see ISR.Step

	Log *slog.Logger // handlers that leave packets behind; discards if nil
	// Recovered is called with what a handler panicked with, and the stream goes on. Without it
	// the panic does.
	Recovered func(any)
}

// An ISR dispatches packets to the handlers of their protocols (netisr(9)). Make one with [New];
// it must not be copied. Its methods may be called by anyone, under any lock unless they say that
// they wait.
type ISR struct {
	cfg    Config
	engine *deferq.Engine[*Reg]
	psz    *pserialize.Serializer
	class  *psref.Class
	level  *witness.Level
	mode   hook.Uint32
	ctxs   []Ctx // of the workers, by stream
	direct *lwp.Local[direct]
	closed hook.Bool

	regs    [MaxProto + 1]hook.Pointer[Reg]
	unknown atomic.Uint64 // packets for nobody

	mu hook.Mutex // leaf: registering
}

// direct is what an LWP that runs handlers itself is at.
type direct struct {
	depth   int // of handlers of ModeDirect
	borrows int // streams
	ctxs    [MaxDepth]Ctx
	hands   [MaxDepth]*mbuf.Owner // of the handlers: a packet that is still there was forgotten
}

// A Ctx is what a handler knows of its run, until it returns.
type Ctx struct {
	LWP    *lwp.LWP     // who runs it: a softint, or who dispatched
	Stream int          // which stream; -1 with ModeDirect
	Mode   DispatchMode // how it was dispatched: ModeDirect, ModeHybrid in the caller, or ModeDeferred
	// In and Out are the packet's interfaces, whole until the handler returns even if they are
	// being detached; nil if it names none.
	In, Out *ifnet.Interface
	Depth   int // how many handlers of ModeDirect it was dispatched by

	hops int // of a SendQueue
}

// New returns an ISR without handlers, and starts its workers. It panics without interfaces.
func New(c Config) *ISR {
	if c.Ifs == nil {
		panic(&witness.Violation{Rule: "netisr: bad config", Text: "netisr: New without Config.Ifs: packets name interfaces"})
	}
	switch {
	case c.Streams == 0:
		c.Streams = 1
	case c.Streams < 0:
		c.Streams = runtime.GOMAXPROCS(0)
	}
	if c.Name == "" {
		c.Name = "netisr"
	}
	if c.MaxQLimit == 0 {
		c.MaxQLimit = MaxQLimit
	}
	if c.DefaultQLimit == 0 {
		c.DefaultQLimit = DefaultQLimit
	}
	c.DefaultQLimit = min(c.DefaultQLimit, c.MaxQLimit)
	if c.Mode == ModeDefault {
		c.Mode = ModeDeferred
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	dom := c.Ifs.Domain()
	i := &ISR{
		cfg: c, psz: pserialize.New(dom), class: psref.NewClass(dom, c.Name+" handler"),
		level: witness.NewLevel(c.Name+" handler", 0), ctxs: make([]Ctx, c.Streams), direct: lwp.NewLocal[direct](dom),
	}
	i.mode.Store(uint32(c.Mode))
	i.engine = deferq.New(deferq.Config[*Reg]{
		Name: c.Name, Ifs: c.Ifs, Streams: c.Streams, Lists: MaxProto + 1, Softint: true, BindThreads: c.BindThreads, Manual: c.Manual,
		Order: func() deferq.Order { return &deferq.Passes{} }, Log: c.Log, Level: i.level,
		Handle: i.handle, Drop: func(*deferq.Item[*Reg], deferq.Fate) {}, Recovered: c.Recovered,
	}, func(*deferq.Engine[*Reg]) ifnet.Drainer { return (*isrDrainer)(i) })
	return i
}

// SetMode changes what ModeDefault means (net.isr.dispatch). For a moment packets may overtake
// each other. Errors: [ErrInvalid].
func (i *ISR) SetMode(m DispatchMode) error {
	if m <= ModeDefault || m > ModeDirect {
		return fmt.Errorf("netisr: mode %d: %w", m, ErrInvalid)
	}
	i.mode.Store(uint32(m))
	return nil
}

// mayWait returns an error to who may not wait for handlers.
func (i *ISR) mayWait(l *lwp.LWP) error {
	if l.CPU.Softint {
		return fmt.Errorf("%w: %w", ErrWouldDeadlock, lwp.ErrWouldSleep)
	}
	if d := i.direct.Get(l); d.depth+d.borrows > 0 {
		return ErrWouldDeadlock
	}
	i.level.WillWait(nil)
	return nil
}

// Step does what a worker of an ISR without workers would do: it handles one packet, in the
// caller, and reports whether there was one.
func (i *ISR) Step() bool { return i.engine.Step() }

// RunUntilIdle steps until nothing is queued, and returns how many packets that was.
func (i *ISR) RunUntilIdle() (n int) {
	for i.Step() {
		n++
	}
	return n
}

// Flush waits until every packet that was queued before has been handled or dropped. l may not be
// a softint. Errors: [ErrWouldDeadlock], ctx.Err().
func (i *ISR) Flush(ctx context.Context, l *lwp.LWP) error {
	if err := i.mayWait(l); err != nil {
		return err
	}
	return i.engine.Flush(ctx)
}

// Close refuses further packets, waits until what is queued has been handled, ends the workers,
// and waits for handlers that run in their callers. When ctx ends first it frees what is queued
// and returns ctx.Err(): call it again to wait for the rest; with a context that has ended it
// discards. It may be called again, and by several at once. l may not be a softint. Errors:
// [ErrWouldDeadlock], ctx.Err().
func (i *ISR) Close(ctx context.Context, l *lwp.LWP) error {
	if err := i.mayWait(l); err != nil {
		return err
	}
	i.mu.Lock()
	i.closed.Store(true)
	i.mu.Unlock()
	if err := i.engine.Close(ctx); err != nil {
		return err
	}
	for p := range i.regs {
		if r := i.regs[p].Load(); r != nil {
			if err := r.Unregister(ctx, l); err != nil && err != ErrNotRegistered {
				return err
			}
			select {
			case <-r.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// An isrDrainer is an ISR as departing interfaces see it.
type isrDrainer ISR

func (d *isrDrainer) Name() string { return d.cfg.Name }

func (d *isrDrainer) Purge(id ifnet.ID) int {
	return d.engine.Purge(func(it *deferq.Item[*Reg]) (deferq.Fate, bool) { return deferq.Departed, it.Concerns(id) })
}

func (d *isrDrainer) Barrier(ctx context.Context, _ *lwp.LWP, id ifnet.ID) error {
	d.level.WillWait(nil)
	return d.engine.Barrier(ctx, func(it *deferq.Item[*Reg]) bool { return it.Concerns(id) })
}

// Down drops nothing: what has come has come.
func (d *isrDrainer) Down(ifnet.ID) int { return 0 }
