package netisr

import (
	"fmt"
	"strings"

	"github.com/softnet-go/softnet/internal/deferq"
)

// Work is what a stream has done for a protocol: FreeBSD's seven counters, and what is missing
// there to account for every packet:
//
//	Queued = Handled - Dispatched - HybridDispatched
//	       + StaleIf + Departed + Unregistered + Discarded + Len + InHand
//
// Dispatched packets, which have no stream, are counted with stream 0.
type Work struct {
	Stream int
	Proto  Proto
	Name   string

	Len, Watermark   int
	Dispatched       uint64 // handled by their callers, with ModeDirect
	HybridDispatched uint64 // and with ModeHybrid
	QDrops           uint64 // refused because the list was full
	Queued           uint64
	Handled          uint64 // in whichever way

	StaleIf, Departed, Unregistered, Discarded uint64 // queued, and not handled

	RefusedIf, RefusedProto, RefusedClosed, SteerDrops uint64 // not queued

	InHand        int    // queued, and being handled
	DepthDeferred uint64 // queued because handlers with ModeDirect were nested too deep
	Panics        uint64 // handlers that panicked; among Handled
	Leaked        uint64 // handlers that left their packet; among Handled
}

// A ProtoInfo is a registration.
type ProtoInfo struct {
	Name     string
	Proto    Proto
	QLimit   int
	Policy   Policy
	Mode     DispatchMode
	HasM2    bool // it has M2Flow or M2CPU
	Drainage bool // it has Drained
}

// A Snapshot is what netstat -Q prints: the configuration, protocols, streams and work. For each
// stream and protocol it is of one moment.
type Snapshot struct {
	Mode                     DispatchMode
	Streams                  int
	DefaultQLimit, MaxQLimit int
	BindThreads              bool
	Unknown                  uint64 // packets for protocols nobody takes
	Protos                   []ProtoInfo
	Work                     []Work // by stream, then protocol
}

// Snapshot returns the counters.
func (i *ISR) Snapshot() Snapshot {
	s := Snapshot{
		Mode: DispatchMode(i.mode.Load()), Streams: i.cfg.Streams, DefaultQLimit: i.cfg.DefaultQLimit, MaxQLimit: i.cfg.MaxQLimit,
		BindThreads: i.cfg.BindThreads, Unknown: i.unknown.Load(),
	}
	var regs []*Reg
	for p := range i.regs {
		if r := i.regs[p].Load(); r != nil {
			regs = append(regs, r)
			s.Protos = append(s.Protos, ProtoInfo{r.h.Name, r.h.Proto, r.client.Limit(), r.h.Policy, r.h.Mode, r.h.M2Flow != nil || r.h.M2CPU != nil, r.h.Drained != nil})
		}
	}
	rows := make([][]Work, len(regs))
	for k, r := range regs {
		rows[k] = r.Stats()
	}
	for n := range i.cfg.Streams {
		for k := range rows {
			s.Work = append(s.Work, rows[k][n])
		}
	}
	return s
}

// Stats returns what each stream has done for the handler. It works after Unregister, too.
func (r *Reg) Stats() []Work {
	var all []Work
	for n, w := range r.isr.engine.Stats(r.client) {
		row := Work{
			Stream: n, Proto: r.h.Proto, Name: r.h.Name,
			Len: w.Len, Watermark: w.Watermark, HybridDispatched: w.Borrowed, QDrops: w.Refused[deferq.Full], Queued: w.Queued,
			Handled: w.Handled + w.Borrowed,
			StaleIf: w.Dropped[deferq.Stale], Departed: w.Dropped[deferq.Departed], Unregistered: w.Dropped[deferq.Unregistered], Discarded: w.Dropped[deferq.Discarded],
			RefusedIf: w.Refused[deferq.IfGone], RefusedProto: w.Refused[deferq.NoClient], RefusedClosed: w.Refused[deferq.Closed],
			InHand: w.InHand, Panics: w.Panics, Leaked: w.Leaked,
		}
		if n == 0 {
			row.Dispatched = r.dispatched.Load()
			row.Handled += row.Dispatched
			row.SteerDrops, row.DepthDeferred = r.steerDrops.Load(), r.depthDeferred.Load()
			row.Panics += r.directPanics.Load()
			row.Leaked += r.directLeaked.Load()
			row.RefusedIf += r.refused[deferq.IfGone].Load()
			row.RefusedProto += r.refused[deferq.NoClient].Load()
			row.RefusedClosed += r.refused[deferq.Closed].Load()
		}
		all = append(all, row)
	}
	return all
}

// String prints the snapshot as netstat -Q does, but for the CPU, which is the stream here.
func (s Snapshot) String() string {
	var b strings.Builder
	onOff := map[bool]string{true: "enabled", false: "disabled"}
	fmt.Fprintf(&b, "Configuration:\n%-32s %10s %10s\n", "Setting", "Current", "Limit")
	fmt.Fprintf(&b, "%-32s %10d %10d\n", "Thread count", s.Streams, s.Streams)
	fmt.Fprintf(&b, "%-32s %10d %10d\n", "Default queue limit", s.DefaultQLimit, s.MaxQLimit)
	fmt.Fprintf(&b, "%-32s %10s %10s\n", "Dispatch policy", s.Mode, "n/a")
	fmt.Fprintf(&b, "%-32s %10s %10s\n\n", "Threads bound to CPUs", onOff[s.BindThreads], "n/a")
	fmt.Fprintf(&b, "Protocols:\n%-16s %5s %6s %-6s %-8s %s\n", "Name", "Proto", "QLimit", "Policy", "Dispatch", "Flags")
	policies := map[Policy]string{PolicySource: "source", PolicyFlow: "flow", PolicyCPU: "cpu"}
	for _, p := range s.Protos {
		flags := map[Policy]string{PolicySource: "S", PolicyFlow: "F", PolicyCPU: "C"}
		f := "--"
		if p.HasM2 {
			f = flags[p.Policy] + "-"
		}
		if p.Drainage {
			f = f[:1] + "D"
		}
		fmt.Fprintf(&b, "%-16s %5d %6d %-6s %-8s %s\n", p.Name, p.Proto, p.QLimit, policies[p.Policy], p.Mode, f)
	}
	fmt.Fprintf(&b, "\nWorkstreams:\n%4s %3s %-16s %5s %5s %8s %8s %8s %8s %8s\n", "WSID", "CPU", "Name", "Len", "WMark", "Disp'd", "HDisp'd", "QDrops", "Queued", "Handled")
	for _, w := range s.Work {
		fmt.Fprintf(&b, "%4d %3d %-16s %5d %5d %8d %8d %8d %8d %8d\n", w.Stream, w.Stream, w.Name, w.Len, w.Watermark, w.Dispatched, w.HybridDispatched, w.QDrops, w.Queued, w.Handled)
	}
	return b.String()
}
