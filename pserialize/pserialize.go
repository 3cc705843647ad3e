package pserialize

import (
	"context"
	"fmt"
	"time"

	uatomic "go.uber.org/atomic"

	"github.com/softnet-go/softnet/internal/cpu"
	"github.com/softnet-go/softnet/internal/hook"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/witness"
)

// A Serializer lets readers look at shared data without a lock while a writer changes
// it: the writer takes a thing out of sight and waits, with Perform, until nobody who
// might have seen it still looks (pserialize_t). Make one with [New]; it must not be
// copied. Its methods are safe for concurrent use, except that writers who change the
// same data must keep each other out by other means.
type Serializer struct {
	dom *lwp.Domain // immutable

	// begun and ended number the grace periods: a Perform that takes number n has seen
	// its grace period end once ended >= n. A later number may end first.
	begun hook.Uint64
	ended hook.Uint64

	waited  uatomic.Uint64
	longest uatomic.Duration
}

// New returns a Serializer for the LWPs of a domain (pserialize_create). The read
// sections of all Serializers of a domain are the same sections, as in the kernel: the
// Serializer says what a section is for, and counts grace periods.
func New(dom *lwp.Domain) *Serializer { return &Serializer{dom: dom} }

// A Section is a read section between ReadEnter and Exit. It belongs to the LWP that
// entered it. The zero Section is none.
type Section struct {
	l *lwp.LWP
	// depth is what l's depth was after entering, but for the section that a thread has
	// published it is one that no LWP ever has, so that Exit looks closer.
	depth uint32
}

const published = 1 << 30

// ReadEnter begins a read section of l (pserialize_read_enter). What the caller finds
// inside stays valid until Exit. Sections nest. Inside, the caller must not sleep, take
// a lock that may be slept on, or carry a pointer out without a stronger reference
// (psref). It never blocks and allocates nothing.
//
//	defer psz.ReadEnter(l).Exit()
func (p *Serializer) ReadEnter(l *lwp.LWP) Section {
	c := &l.CPU
	c.Depth++
	depth := c.Depth
	if depth == 1 {
		c.EnterSection()
		depth = published
	}
	if witness.Enabled {
		l.Domain().SectionLevel().Enter(l.Books())
	}
	return Section{l, depth}
}

// Exit ends the section (pserialize_read_exit). Sections end in the opposite order of
// their beginning: any other order, or ending one twice, panics.
func (s Section) Exit() {
	if c := &s.l.CPU; !witness.Enabled && s.depth == c.Depth {
		c.Depth--
	} else {
		s.exit()
	}
}

// exit is Exit where there is more to do: a thread's outermost section is published.
func (s Section) exit() {
	if s.l == nil {
		panic(&witness.Violation{Rule: "pserialize: mismatched exit", Text: "pserialize: Exit of a zero Section, which nobody entered"})
	}
	c := &s.l.CPU
	if !s.innermost() {
		panic(&witness.Violation{
			Rule: "pserialize: mismatched exit",
			Text: fmt.Sprintf("pserialize: %v exits a read section that is not its innermost: sections end in the opposite order, once each", s.l),
		})
	}
	c.Depth--
	if c.Depth == 0 {
		c.ExitSection()
	}
	if witness.Enabled {
		s.l.Domain().SectionLevel().Exit(s.l.Books())
	}
}

func (s Section) innermost() bool {
	return s.depth == s.l.CPU.Depth || s.depth == published && s.l.CPU.Depth == 1
}

// In reports whether the section still lasts. It is for assertions.
func (s Section) In() bool {
	if s.l == nil {
		return false
	}
	d := s.l.CPU.Depth
	return d >= s.depth || s.depth == published && d >= 1
}

// LWP returns whose section it is.
func (s Section) LWP() *lwp.LWP { return s.l }

// Perform waits until every read section that began before the call has ended
// (pserialize_perform, RCU's synchronize). Sections that begin later see what the caller
// stored before. Several may run at once.
//
// It blocks, so l must be in no read section (that panics: it would wait for itself) and
// must not be a softint that is online ([lwp.ErrWouldSleep]). When ctx ends first it
// returns ctx.Err(), and nothing may be concluded. The caller must hold no lock that a
// section or a softint handler may take; the witness reports it on the first run that
// shows both halves.
func (p *Serializer) Perform(ctx context.Context, l *lwp.LWP) error {
	if !l.CPU.Outside() {
		panic(&witness.Violation{
			Rule: "pserialize: perform inside a section",
			Text: fmt.Sprintf("pserialize: %v calls Perform inside its own read section and would wait for itself", l),
		})
	}
	if l.Domain() != p.dom {
		panic(&witness.Violation{
			Rule: "pserialize: wrong domain",
			Text: fmt.Sprintf("pserialize: %v calls Perform of another domain", l),
		})
	}
	if l.InSoftint() {
		return fmt.Errorf("pserialize: Perform by %v: %w", l, lwp.ErrWouldSleep)
	}
	if witness.Enabled {
		p.dom.SectionLevel().WillWait(l.Books())
		p.dom.SoftintLevel().WillWait(l.Books())
	}
	n := p.begun.Add(1)
	if err := p.wait(ctx); err != nil {
		return err
	}
	for {
		e := p.ended.Load()
		if e >= n || p.ended.CompareAndSwap(e, n) {
			return nil
		}
	}
}

// wait returns once every section that has begun has ended. A thread's section word
// changes when it exits, even if it has entered again by the time it is looked at.
func (p *Serializer) wait(ctx context.Context) error {
	m := p.dom.Machine()
	var start time.Time
	for _, c := range m.All() {
		w := c.Section.Load()
		if w&cpu.Inside == 0 || !c.MarkWaited(w) {
			continue
		}
		if start.IsZero() {
			start = time.Now()
		}
		err := m.Await(ctx, "a read section", c, func() bool { return c.Section.Load()&^cpu.SectionWaited != w&^cpu.SectionWaited })
		if err != nil {
			return err
		}
	}
	if err := m.Rendezvous(ctx); err != nil {
		return err
	}
	if !start.IsZero() {
		p.waited.Inc()
		if d := time.Since(start); d > p.longest.Load() {
			p.longest.Store(d) // two at once may lose the longer: it is a statistic
		}
	}
	return nil
}

// Stats is a snapshot of a Serializer's counters.
type Stats struct {
	Performs uint64        // grace periods begun
	Ended    uint64        // the highest-numbered grace period that has ended
	Waited   uint64        // how many had to wait for a thread's section
	Longest  time.Duration // the longest of those
}

// Stats returns the counters. It may be called at any time by anyone.
func (p *Serializer) Stats() Stats {
	return Stats{p.begun.Load(), p.ended.Load(), p.waited.Load(), p.longest.Load()}
}
