package main

import (
	"fmt"
	"net/netip"

	"github.com/softnet-go/softnet/pfsync/pf"
	"github.com/softnet-go/softnet/pfsync/wire"
)

// The messages as they are printed: their fields are the wire's, in natural units.
type (
	id struct {
		ID      string `json:"id"`
		Creator string `json:"creatorid"`
	}

	key struct {
		Addr    [2]netip.Addr `json:"addr"`
		Port    [2]uint16     `json:"port"`
		RDomain uint16        `json:"rdomain"`
		AF      uint8         `json:"af"`
	}

	scrub struct {
		Flags uint16 `json:"flags"`
		TTL   uint8  `json:"ttl"`
		TSMod uint32 `json:"ts_mod"`
	}

	peer struct {
		SeqLo   uint32 `json:"seqlo"`
		SeqHi   uint32 `json:"seqhi"`
		SeqDiff uint32 `json:"seqdiff"`
		MaxWin  uint16 `json:"max_win"`
		MSS     uint16 `json:"mss"`
		Level   uint8  `json:"state"`
		WScale  uint8  `json:"wscale"`
		Scaled  bool   `json:"wscale_flag"`
		Scrub   *scrub `json:"scrub"`
	}

	state struct {
		id
		IfName      string     `json:"ifname"`
		Wire        key        `json:"wire"`
		Stack       key        `json:"stack"`
		Src         peer       `json:"src"`
		Dst         peer       `json:"dst"`
		RtAddr      netip.Addr `json:"rt_addr"`
		Rule        *uint32    `json:"rule"` // null for none
		Anchor      *uint32    `json:"anchor"`
		NATRule     *uint32    `json:"nat_rule"`
		Age         uint32     `json:"age_s"`
		Expire      uint32     `json:"expire_s"`
		Packets     [2]uint64  `json:"packets"`
		Bytes       [2]uint64  `json:"bytes"`
		RTable      [2]int32   `json:"rtableid"`
		MaxMSS      uint16     `json:"max_mss"`
		AF          uint8      `json:"af"`
		Proto       uint8      `json:"proto"`
		Direction   any        `json:"direction"`
		Log         uint8      `json:"log"`
		Rt          uint8      `json:"rt"`
		Timeout     uint8      `json:"timeout"`
		TimeoutName string     `json:"timeout_name"`
		SyncFlags   uint8      `json:"sync_flags"`
		Updates     uint8      `json:"updates"`
		MinTTL      uint8      `json:"min_ttl"`
		SetTOS      uint8      `json:"set_tos"`
		Flags       uint16     `json:"state_flags"`
		SetPrio     [2]int     `json:"set_prio"`
	}

	update struct {
		id
		Src         peer   `json:"src"`
		Dst         peer   `json:"dst"`
		Expire      uint32 `json:"expire"`
		Timeout     uint8  `json:"timeout"`
		TimeoutName string `json:"timeout_name"`
		Flags       uint8  `json:"state_flags"`
	}

	clr struct {
		IfName  string `json:"ifname"`
		Creator string `json:"creatorid"`
	}

	bulk struct {
		Creator string `json:"creatorid"`
		EndTime uint32 `json:"endtime"`
		Status  any    `json:"status"`
	}

	tunnel struct {
		SPI     uint32 `json:"spi"`
		Dst     string `json:"dst"`
		RPL     uint64 `json:"rpl"`
		Bytes   uint64 `json:"cur_bytes"`
		Proto   uint8  `json:"sproto"`
		Updates uint8  `json:"updates"`
		RDomain uint16 `json:"rdomain"`
	}
)

// message reads a message of an action that is known.
func message(a wire.Action, b []byte) any {
	switch a {
	case wire.CLR:
		c := wire.ParseClear(b)
		return clr{c.IfName.String(), creator(c.Creator)}
	case wire.UPDC:
		u := wire.ParseUpdate(b)
		return update{
			idOf(u.ID), peerOf(&u.Src), peerOf(&u.Dst), u.Expire,
			u.Timeout, pf.Timeout(u.Timeout).String(), u.Flags,
		}
	case wire.BUS:
		u := wire.ParseBulk(b)
		return bulk{creator(u.Creator), u.EndTime, word(uint8(u.Status), "start", "end")}
	case wire.TDB:
		t := wire.ParseTunnel(b)
		return tunnel{t.SPI, sockaddr(t.Dst), t.RPL, t.Bytes, t.Proto, t.Updates, t.RDomain}
	case wire.INS, wire.UPD, wire.DEL:
		s := wire.ParseState(b)
		return state{
			id: idOf(s.ID), IfName: s.IfName.String(), Wire: keyOf(&s.Wire, s.AF), Stack: keyOf(&s.Stack, s.AF),
			Src: peerOf(&s.Src), Dst: peerOf(&s.Dst), RtAddr: addr(s.RtAddr, s.AF),
			Rule: number(s.Rule), Anchor: number(s.Anchor), NATRule: number(s.NATRule), Age: s.Age, Expire: s.Expire,
			Packets: s.Packets, Bytes: s.Bytes, RTable: s.RTable, MaxMSS: s.MaxMSS, AF: s.AF, Proto: s.Proto,
			Direction: word(s.Direction, "in", "out"), Log: s.Log, Rt: s.Rt, Timeout: s.Timeout,
			TimeoutName: pf.Timeout(s.Timeout).String(), SyncFlags: s.SyncFlags, Updates: s.Updates,
			MinTTL: s.MinTTL, SetTOS: s.SetTOS, Flags: s.Flags, SetPrio: [2]int{int(s.SetPrio[0]), int(s.SetPrio[1])},
		}
	default:
		return idOf(wire.ParseID(b))
	}
}

func creator(c uint32) string { return fmt.Sprintf("%08x", c) }

func idOf(i wire.ID) id { return id{fmt.Sprintf("%016x", i.ID), creator(i.Creator)} }

// word returns the name of 1 and of 2, and other numbers as they are.
func word(n uint8, one, two string) any {
	switch n {
	case 1:
		return one
	case 2:
		return two
	}
	return n
}

func number(n uint32) *uint32 {
	if n == wire.None {
		return nil
	}
	return &n
}

func addr(a [16]byte, af uint8) netip.Addr {
	if af == wire.AFInet {
		return netip.AddrFrom4([4]byte(a[:4]))
	}
	return netip.AddrFrom16(a)
}

// keyOf reads a key of a state, whose family is the key's if that says none.
func keyOf(k *wire.Key, af uint8) key {
	if k.AF != 0 {
		af = k.AF
	}
	return key{[2]netip.Addr{addr(k.Addr[0], af), addr(k.Addr[1], af)}, k.Port, k.RDomain, k.AF}
}

func peerOf(p *wire.Peer) peer {
	out := peer{p.SeqLo, p.SeqHi, p.SeqDiff, p.MaxWin, p.MSS, p.Level, p.WScale & 0x7f, p.WScale&0x80 != 0, nil}
	if p.Scrub.Valid == 1 {
		out.Scrub = &scrub{p.Scrub.Flags, p.Scrub.TTL, p.Scrub.TSMod}
	}
	return out
}

func sockaddr(b [28]byte) string {
	switch {
	case b[0] == 16 && b[1] == wire.AFInet:
		return netip.AddrFrom4([4]byte(b[4:8])).String()
	case b[0] == 28 && b[1] == wire.AFInet6:
		return netip.AddrFrom16([16]byte(b[8:24])).String()
	}
	return fmt.Sprintf("%x", b)
}

// The lines of the text.

func (i id) String() string { return "id " + i.ID + "/" + i.Creator }

func (c clr) String() string {
	if c.IfName == "" {
		return "states of " + c.Creator
	}
	return "states of " + c.Creator + " on " + c.IfName
}

func (u bulk) String() string { return fmt.Sprintf("bulk %v of %s", u.Status, u.Creator) }

func (t tunnel) String() string {
	return fmt.Sprintf("SA %#x to %s, protocol %d: number %d, %d bytes", t.SPI, t.Dst, t.Proto, t.RPL, t.Bytes)
}

func (p peer) String() string {
	return fmt.Sprintf("[%d + %d](+%d) win %d<<%d", p.SeqLo, p.SeqHi-p.SeqLo, p.SeqDiff, p.MaxWin, p.WScale)
}

func (u update) String() string {
	return fmt.Sprintf("%d:%d %s %v %v %v", u.Src.Level, u.Dst.Level, u.TimeoutName, u.Src, u.Dst, u.id)
}

func (s state) String() string {
	k := func(k key) pf.Key {
		return pf.KeyOf(pf.In, s.Proto, netip.AddrPortFrom(k.Addr[0], k.Port[0]), netip.AddrPortFrom(k.Addr[1], k.Port[1]))
	}
	inside := ""
	if s.Stack != s.Wire {
		inside = fmt.Sprintf(" (%v)", k(s.Stack))
	}
	return fmt.Sprintf("%v%s %v %s %d:%d %s age %ds expires %ds %d:%d pkts %d:%d bytes %v", k(s.Wire), inside, s.Direction, s.IfName,
		s.Src.Level, s.Dst.Level, s.TimeoutName, s.Age, s.Expire, s.Packets[0], s.Packets[1], s.Bytes[0], s.Bytes[1], s.id)
}
