package netisr

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/atomic"

	"github.com/softnet-go/softnet/internal/deferq"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// A Reg is a registration of a handler. Another of the same protocol, later, is another: packets
// that were queued for one never reach the other.
type Reg struct {
	isr    *ISR
	h      Handler
	client *deferq.Client[*Reg]
	target psref.Target // held by who runs the handler with ModeDirect
	done   chan struct{}
	busy   bool // somebody unregisters it; guarded by isr.mu
	gone   bool // likewise

	dispatched, depthDeferred, steerDrops, directPanics, directLeaked atomic.Uint64
	refused                                                           [deferq.Refusals]atomic.Uint64 // with ModeDirect
}

// Register has a handler take its protocol's packets (netisr_register), with fresh counters. A
// QLimit above the maximum is capped, and logged. Errors: *[RegError], [ErrClosed].
func (i *ISR) Register(h Handler) (*Reg, error) {
	if h.QLimit == 0 {
		h.QLimit = i.cfg.DefaultQLimit
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.QLimit > i.cfg.MaxQLimit {
		i.cfg.Log.Warn("netisr: queue limit is capped", "handler", h.Name, "asked", h.QLimit, "maximum", i.cfg.MaxQLimit)
		h.QLimit = i.cfg.MaxQLimit
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed.Load() {
		return nil, ErrClosed
	}
	for p := range i.regs {
		switch r := i.regs[p].Load(); {
		case r == nil:
		case r.h.Proto == h.Proto:
			return nil, &RegError{h.Name, "Proto", fmt.Sprintf("%d is taken, by %s", h.Proto, r.h.Name)}
		case r.h.Name == h.Name:
			return nil, &RegError{h.Name, "Name", fmt.Sprintf("is taken, for protocol %d", r.h.Proto)}
		}
	}
	r := &Reg{isr: i, h: h, done: make(chan struct{})}
	r.client = i.engine.NewClient(h.Name, int(h.Proto), h.QLimit)
	r.client.Drained = h.Drained
	i.class.Init(&r.target)
	i.regs[h.Proto].Store(r)
	return r, nil
}

// check returns what is wrong with a handler.
func (h *Handler) check() error {
	bad := func(field, why string) error { return &RegError{h.Name, field, why} }
	switch {
	case h.Name == "" || len(h.Name) > 31:
		return bad("Name", "has to have 1 to 31 bytes")
	case strings.ContainsAny(h.Name, " ."):
		return bad("Name", "may not have a space or a dot")
	case h.Proto < 1 || h.Proto > MaxProto:
		return bad("Proto", fmt.Sprintf("%d is not from 1 to %d", h.Proto, MaxProto))
	case h.Handle == nil:
		return bad("Handle", "is missing")
	case h.Policy < PolicySource || h.Policy > PolicyCPU:
		return bad("Policy", fmt.Sprintf("%d is none", h.Policy))
	case h.Mode < ModeDefault || h.Mode > ModeDirect:
		return bad("Mode", fmt.Sprintf("%d is none", h.Mode))
	case h.M2Flow != nil && h.Policy != PolicyFlow:
		return bad("M2Flow", "is for PolicyFlow")
	case h.M2CPU != nil && h.Policy != PolicyCPU:
		return bad("M2CPU", "is for PolicyCPU")
	case h.M2CPU == nil && h.Policy == PolicyCPU:
		return bad("M2CPU", "is missing, with PolicyCPU")
	case h.QLimit < 0:
		return bad("QLimit", fmt.Sprintf("%d is negative", h.QLimit))
	}
	return nil
}

// SetQLimit changes how many of the handler's packets wait in a stream (netisr_setqlimit). What
// waits already stays; with 0 nothing is queued any more. Errors: [ErrInvalid].
func (r *Reg) SetQLimit(n int) error {
	if n < 0 || n > r.isr.cfg.MaxQLimit {
		return fmt.Errorf("netisr: %s: queue limit %d is not from 0 to %d: %w", r.h.Name, n, r.isr.cfg.MaxQLimit, ErrInvalid)
	}
	r.client.SetLimit(n)
	return nil
}

// Unregister ends a registration (netisr_unregister): its packets are refused from now on, and
// what is queued is freed. It waits for the handler where it runs, so l may not be a softint, and
// is not to be called by the handler; when it has returned nil nothing of the handler runs or
// will, and the protocol is free. When ctx ends first it returns ctx.Err(): call it again to go
// on. Errors: [ErrNotRegistered], [ErrWouldDeadlock], ctx.Err().
func (r *Reg) Unregister(ctx context.Context, l *lwp.LWP) error {
	i := r.isr
	if err := i.mayWait(l); err != nil {
		return err
	}
	i.mu.Lock()
	if r.busy || r.gone {
		i.mu.Unlock()
		return ErrNotRegistered
	}
	r.busy = true
	i.mu.Unlock()
	err := r.end(ctx, l)
	i.mu.Lock()
	defer i.mu.Unlock()
	r.busy = false
	if err == nil {
		r.gone = true
		i.regs[r.h.Proto].Store(nil)
		close(r.done)
	}
	return err
}

// end waits until nothing of the handler runs.
func (r *Reg) end(ctx context.Context, l *lwp.LWP) error {
	if err := r.isr.engine.Unregister(ctx, r.client); err != nil {
		return err
	}
	if err := r.isr.psz.Perform(ctx, l); err != nil { // who has found it and does not hold it yet
		return err
	}
	return r.target.Destroy(ctx, l)
}

// Done returns a channel that is closed when the registration has ended.
func (r *Reg) Done() <-chan struct{} { return r.done }
