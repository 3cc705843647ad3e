package pf

import "github.com/softnet-go/softnet/pfsync/wire"

// What a state makes of a packet.
type opinion uint8

const (
	gone       opinion = iota // the state has been taken down
	fits                      // the packet is the state's, and has changed it
	doesNot                   // it pretends to be
	overAndNew                // the conversation is over, and this is the first packet of another
)

// both halves were last told of by the peer.
const both = 3

// maxAck is how far an acknowledgement may be behind or ahead (MAXACKWINDOW).
const maxAck = 0xffff + 1500

// first makes the state's halves those of a conversation that begins with this packet. Nobody else
// knows the state yet.
func (st *State) first(p *packet) {
	switch p.proto {
	case TCP:
		st.src = wire.Peer{Level: synSent, SeqLo: p.seq, SeqHi: p.end() + 1, MaxWin: scaled(max(p.win, 1), p.wscale), WScale: p.wscale}
		st.dst = wire.Peer{SeqHi: 1, MaxWin: 1}
		st.timeout = TCPFirst
	case UDP:
		st.src.Level, st.timeout = single, UDPFirst
	case ICMP, ICMPv6:
		st.timeout = ICMPFirst
	default:
		st.src.Level, st.timeout = single, OtherFirst
	}
}

// scaled returns a window, which is not scaled in a segment with SYN, as those after it will be. So
// they are kept.
func scaled(win uint16, wscale uint8) uint16 {
	shift := wscale &^ wscaleSeen
	return uint16((uint32(win) + 1<<shift - 1) >> shift)
}

// packet takes account of a packet that has the state's key.
func (st *State) packet(p *packet, dir Dir) opinion {
	if st.stack != &st.wire {
		return doesNot
	}
	now := st.kif.table.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.timeout == Unlinked {
		return gone
	}
	if p.error {
		return fits
	}
	src, dst, way := &st.src, &st.dst, 0
	if dir != st.dir {
		src, dst, way = dst, src, 1
	}
	var timeout Timeout
	switch p.proto {
	case TCP:
		if p.flags&(syn|ack) == syn && src.Level >= finWait2 && dst.Level >= finWait2 {
			return overAndNew
		}
		switch {
		case st.flags&Sloppy != 0:
			levels(src, dst, p)
		case !st.segment(src, dst, p, 1<<way):
			return doesNot
		}
		timeout = tcpTimeout(src.Level, dst.Level)
	case UDP:
		timeout = plainLevels(src, dst, UDPSingle)
	case ICMP, ICMPv6:
		timeout = ICMPError
	default:
		timeout = plainLevels(src, dst, OtherSingle)
	}
	st.packets[way]++
	st.bytes[way] += uint64(p.len)
	st.expire = now
	st.setTimeout(timeout)
	return fits
}

// setTimeout changes the timeout, unless the state has been taken down. mu is held.
func (st *State) setTimeout(t Timeout) {
	if st.timeout != Unlinked {
		st.timeout = t
	}
}

// plainLevels moves the levels of a protocol without phases, and returns the timeout, of which the
// one for conversations follows the one for monologues.
func plainLevels(src, dst *wire.Peer, alone Timeout) Timeout {
	if src.Level < single {
		src.Level = single
	}
	if dst.Level == single {
		dst.Level = multiple
	}
	if src.Level == multiple && dst.Level == multiple {
		return alone + 1
	}
	return alone
}

// levels moves those of TCP.
func levels(src, dst *wire.Peer, p *packet) {
	up := func(h *wire.Peer, to uint8) {
		if h.Level < to {
			h.Level = to
		}
	}
	if p.flags&syn != 0 {
		up(src, synSent)
	}
	if p.flags&fin != 0 {
		up(src, closing)
	}
	if p.flags&ack != 0 {
		switch dst.Level {
		case synSent:
			dst.Level = established
		case closing:
			dst.Level = finWait2
		}
	}
	if p.flags&rst != 0 {
		src.Level, dst.Level = timeWait, timeWait
	}
}

// segment reports whether a TCP segment from src is one that dst can be waiting for, and moves the
// windows if so (pf_tcp_track_full). What src sends is between what dst has acknowledged, less a
// window, and what dst has said it would take; what it acknowledges is near what dst has sent.
// learn is the bit of src's half.
func (st *State) segment(src, dst *wire.Peer, p *packet, learn uint8) bool {
	sws, dws := uint8(0), uint8(0)
	if p.flags&syn == 0 && src.WScale&wscaleSeen != 0 && dst.WScale&wscaleSeen != 0 {
		sws, dws = src.WScale&15, dst.WScale&15
	}
	seq, end, acked := p.seq, p.end(), p.ack
	win, room := uint32(p.win)<<sws, max(1, uint32(dst.MaxWin)<<dws)
	if src.Level < synSent { // its first segment
		if p.flags&syn != 0 {
			switch {
			case dst.WScale&wscaleSeen == 0:
			case p.wscale&wscaleSeen != 0:
				src.WScale = p.wscale
			default: // windows are not scaled, then, in either direction
				dst.MaxWin = uint16(min(0xffff, uint32(dst.MaxWin)<<(dst.WScale&15)))
				dst.WScale = 0
				room = max(1, uint32(dst.MaxWin))
			}
		}
		src.SeqLo, src.Level = seq, synSent
		if src.SeqHi == 1 || after(end+room, src.SeqHi) {
			src.SeqHi = end + room
		}
	}
	if p.flags&ack == 0 || acked == 0 && p.flags&rst != 0 {
		acked = dst.SeqLo // it acknowledges nothing: as if it were right
	}
	if seq == end { // nothing is in it: any number will do
		seq, end = src.SeqLo, src.SeqLo
		if p.flags&rst != 0 && p.seq != src.SeqLo && p.seq != src.SeqLo+1 && dst.Level >= synSent {
			return st.follow(src, dst, p, room, win, learn)
		}
	}
	skew := int32(dst.SeqLo - acked)
	expected := notAfter(end, src.SeqHi) && notAfter(src.SeqLo-room, seq) && -maxAck <= skew && skew <= maxAck<<sws
	// Half of a handshake was not seen, or it is the end: then it is enough to be near.
	nearly := (dst.Level < synSent || dst.Level >= finWait2 || src.Level >= finWait2) &&
		notAfter(end, src.SeqHi+maxAck) && notAfter(src.SeqLo-maxAck, seq) && -maxAck <= skew && skew <= maxAck
	if !expected && !nearly {
		return st.follow(src, dst, p, room, win, learn)
	}
	st.learn &^= learn
	slide(src, dst, p, end, acked, win)
	return true
}

// follow believes a segment that is ahead of what we know, if what we know is from a peer, and this
// is the first that we see ourselves of this half: the peer told us a while ago, and the
// conversation has gone on. pf has no such thing, and drops what was sent in that while.
func (st *State) follow(src, dst *wire.Peer, p *packet, room, win uint32, learn uint8) bool {
	if st.learn&learn == 0 || p.flags&(syn|rst) != 0 || p.flags&ack == 0 || src.Level < established || dst.Level < established {
		return false
	}
	const far = 1 << 30
	if ahead := int32(p.seq - src.SeqLo); ahead < -maxAck || ahead > far {
		return false
	}
	if ahead := int32(p.ack - dst.SeqLo); ahead < -maxAck || ahead > far {
		return false
	}
	st.learn &^= learn
	src.SeqLo, src.SeqHi = p.end(), p.end()+room
	if after(p.ack, dst.SeqLo) {
		dst.SeqLo = p.ack
	}
	slide(src, dst, p, p.end(), p.ack, win)
	return true
}

func slide(src, dst *wire.Peer, p *packet, end, acked, win uint32) {
	most := p.win
	if p.flags&syn != 0 && dst.WScale&wscaleSeen != 0 {
		most = scaled(p.win, src.WScale)
	}
	src.MaxWin = max(src.MaxWin, most)
	if after(end, src.SeqLo) {
		src.SeqLo = end
	}
	if to := acked + max(1, win); after(to, dst.SeqHi) {
		dst.SeqHi = to
	}
	levels(src, dst, p)
}

// after reports whether a is a later sequence number than b.
func after(a, b uint32) bool    { return int32(a-b) > 0 }
func notAfter(a, b uint32) bool { return int32(a-b) <= 0 }
