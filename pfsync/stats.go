package pfsync

import "github.com/softnet-go/softnet/internal/hook"

type counters struct {
	ipackets, ibytes                              hook.Uint64
	badIf, badTTL, hdrops, badVer, badLen, badAct hook.Uint64
	badVal, badState, stale                       hook.Uint64
	opackets, obytes, oerrors, heldDrops, odd     hook.Uint64
	ids                                           hook.Uint32
}

// Stats is a snapshot of a device's counters (struct pfsyncstats). Each is exact; they are not of one
// moment.
type Stats struct {
	IPackets uint64 // packets of protocol 240
	IBytes   uint64 // in those that were opened, from the header on
	BadIf    uint64 // by another interface
	BadTTL   uint64 // that a router has passed on
	HDrops   uint64 // too short for a header
	BadVer   uint64 // of another version
	BadLen   uint64 // that have a length which is more than there is
	BadAct   uint64 // with an action that can be neither taken nor skipped
	BadVal   uint64 // messages with a value nobody has
	BadState uint64 // messages of states that are not known, and cannot be
	Stale    uint64 // updates of which at least one half was older than ours

	OPackets, OBytes uint64 // sent, bytes with the IP header
	OErrors          uint64 // that the interface refused
	NoMem            uint64 // packets that were not written, for want of one
	QDrops           uint64 // that were written, and the send queue refused
	HeldDrops        uint64 // held back, and refused there
	Odd              uint64 // calls of hooks for states that were not where they should be

	Phase Phase        // of the request for the states of others
	Sent  int          // states, in the transfer that goes on or the last one
	Slice []SliceStats // of those there are; none if the device is down
}

// SliceStats are the counters of a slice (the kstats pfsync-slice).
type SliceStats struct {
	Locks, Contended    uint64 // of its mutex
	Len                 int    // bytes of the packet in the making, with headers
	WriteNops           uint64 // times that there was nothing to write
	SendSched           uint64 // times that it was not to wait any longer
	SendRun             uint64 // times that the worker wrote
	Enqueues            uint64 // packets that were full before their time
	Held                int    // packets held back now
	DeferAdd, DeferAck  uint64 // that were, and that a peer acknowledged
	DeferRun, DeferOver uint64 // times that the worker let some go, and that there were too many
}

// Stats returns the counters.
func (d *Device) Stats() Stats {
	c := &d.stats
	s := Stats{
		IPackets: c.ipackets.Load(), IBytes: c.ibytes.Load(), BadIf: c.badIf.Load(), BadTTL: c.badTTL.Load(),
		HDrops: c.hdrops.Load(), BadVer: c.badVer.Load(), BadLen: c.badLen.Load(), BadAct: c.badAct.Load(),
		BadVal: c.badVal.Load(), BadState: c.badState.Load(), Stale: c.stale.Load(),
		OPackets: c.opackets.Load(), OBytes: c.obytes.Load(), OErrors: c.oerrors.Load(),
		HeldDrops: c.heldDrops.Load(), Odd: c.odd.Load(),
	}
	for _, o := range d.outlets {
		s.NoMem += o.noMem.Load()
		s.QDrops += o.qdrops.Load()
	}
	r := d.running.Load()
	if r == nil {
		return s
	}
	r.mu.Lock()
	s.Phase = r.req.Phase()
	r.mu.Unlock()
	s.Sent = int(r.sent.Load())
	for _, sl := range r.slices {
		sl.mu.Lock()
		st := sl.stats
		st.Len, st.Held = sl.len, len(sl.held)
		sl.mu.Unlock()
		s.Slice = append(s.Slice, st)
	}
	return s
}
