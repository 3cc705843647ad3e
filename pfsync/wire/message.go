package wire

import "fmt"

// An ID is the name of a state: a number that its creator gave it, and the creator's (pfsync_ins_ack,
// pfsync_upd_req, pfsync_del_c). On the wire it is 12 bytes. ID 0 of creator 0 stands for all states.
//
//	 0               1               2               3
//	+---------------------------------------------------------------+
//	|                         id, 8 bytes                           |
//	+---------------------------------------------------------------+
//	|                           creator                             |
//	+---------------------------------------------------------------+
type ID struct {
	ID      uint64
	Creator uint32
}

// String returns "65a1b2c300000002/0badcafe".
func (i ID) String() string { return fmt.Sprintf("%016x/%08x", i.ID, i.Creator) }

// Append appends the message.
func (i ID) Append(b []byte) []byte { return be.AppendUint32(be.AppendUint64(b, i.ID), i.Creator) }

// ParseID reads a message of INSACK, UPDREQ or DELC. It panics if b is shorter than one, as all
// Parse functions do: [Next] has seen to that.
func ParseID(b []byte) ID {
	need(b, INSACK)
	return ID{be.Uint64(b), be.Uint32(b[8:])}
}

// A Clear has the receiver forget the states of a creator (struct pfsync_clr): 16 bytes of interface
// name, the first zero for any interface, and the creator.
type Clear struct {
	IfName  Name
	Creator uint32
}

// Append appends the message.
func (c *Clear) Append(b []byte) []byte {
	return be.AppendUint32(append(b, c.IfName[:]...), c.Creator)
}

// ParseClear reads a message of CLR.
func ParseClear(b []byte) (c Clear) {
	need(b, CLR)
	copy(c.IfName[:], b)
	c.Creator = be.Uint32(b[16:])
	return c
}

// A Name is an interface's, ended by a zero byte unless it fills the field. What is behind that byte
// means nothing; kernels do send something there.
type Name [16]byte

// NameOf returns the name as it is on the wire, cut to what fits.
func NameOf(s string) (n Name) {
	copy(n[:], s)
	return n
}

// String returns the name.
func (n Name) String() string {
	for i, c := range n {
		if c == 0 {
			return string(n[:i])
		}
	}
	return string(n[:])
}

// A Status says which end of a bulk transfer a message is.
type Status uint8

// The statuses.
const (
	BulkStart Status = 1
	BulkEnd   Status = 2
)

// A Bulk says that all states follow, or have been sent (struct pfsync_bus).
//
//	 0               1               2               3
//	+---------------------------------------------------------------+
//	|                            creator                            |
//	+---------------------------------------------------------------+
//	|                     end time, always zero                     |
//	+---------------+-----------------------------------------------+
//	|     status    |                       0                       |
//	+---------------+-----------------------------------------------+
type Bulk struct {
	Creator uint32 // the sender
	EndTime uint32
	Status  Status
}

// Append appends the message.
func (u *Bulk) Append(b []byte) []byte {
	b = be.AppendUint32(be.AppendUint32(b, u.Creator), u.EndTime)
	return append(b, byte(u.Status), 0, 0, 0)
}

// ParseBulk reads a message of BUS.
func ParseBulk(b []byte) Bulk {
	need(b, BUS)
	return Bulk{be.Uint32(b), be.Uint32(b[4:]), Status(b[8])}
}

// A Peer is one half of a state (struct pfsync_state_peer), 32 bytes on the wire.
//
//	 0               1               2               3
//	+-------------------------------+---------------+---------------+
//	|          scrub flags          |   scrub TTL   |  scrub valid  |
//	+-------------------------------+---------------+---------------+
//	|                     scrub timestamp offset                    |
//	+---------------------------------------------------------------+
//	|         lowest sequence number that was not sent yet          |
//	+---------------------------------------------------------------+
//	|        highest sequence number the other end will take        |
//	+---------------------------------------------------------------+
//	|              what is added to its sequence numbers            |
//	+-------------------------------+-------------------------------+
//	|         largest window        |     maximum segment size      |
//	+---------------+---------------+-------------------------------+
//	|     level     | window shift  |         0, 6 bytes
//	+---------------+---------------+-------------------------------+
type Peer struct {
	Scrub                 Scrub
	SeqLo, SeqHi, SeqDiff uint32
	MaxWin, MSS           uint16
	Level                 uint8 // of TCP's states, or 0 to 2
	WScale                uint8 // bits 0-3; 0x80 if the option was seen
}

// A Scrub is what normalisation remembers of a half.
type Scrub struct {
	Flags uint16
	TTL   uint8
	Valid uint8 // 1 if the rest is
	TSMod uint32
}

func (p *Peer) put(b []byte) {
	_ = b[31]
	be.PutUint16(b, p.Scrub.Flags)
	b[2], b[3] = p.Scrub.TTL, p.Scrub.Valid
	be.PutUint32(b[4:], p.Scrub.TSMod)
	be.PutUint32(b[8:], p.SeqLo)
	be.PutUint32(b[12:], p.SeqHi)
	be.PutUint32(b[16:], p.SeqDiff)
	be.PutUint16(b[20:], p.MaxWin)
	be.PutUint16(b[22:], p.MSS)
	b[24], b[25] = p.Level, p.WScale
}

func parsePeer(b []byte) Peer {
	_ = b[31]
	return Peer{
		Scrub:   Scrub{be.Uint16(b), b[2], b[3], be.Uint32(b[4:])},
		SeqLo:   be.Uint32(b[8:]),
		SeqHi:   be.Uint32(b[12:]),
		SeqDiff: be.Uint32(b[16:]),
		MaxWin:  be.Uint16(b[20:]),
		MSS:     be.Uint16(b[22:]),
		Level:   b[24],
		WScale:  b[25],
	}
}

// The address families, as OpenBSD numbers them.
const (
	AFInet  = 2
	AFInet6 = 24
)

// A Key is what a state is found by (struct pfsync_state_key), 40 bytes on the wire: two addresses of
// 16 bytes, of which IPv4 uses the first 4, two ports, the routing domain, the family. Of a state
// that was made by an incoming packet, address 0 is that packet's source; by an outgoing one,
// address 1.
type Key struct {
	Addr    [2][16]byte
	Port    [2]uint16
	RDomain uint16
	AF      uint8
}

func (k *Key) put(b []byte) {
	_ = b[39]
	copy(b, k.Addr[0][:])
	copy(b[16:], k.Addr[1][:])
	be.PutUint16(b[32:], k.Port[0])
	be.PutUint16(b[34:], k.Port[1])
	be.PutUint16(b[36:], k.RDomain)
	b[38] = k.AF
}

func parseKey(b []byte) Key {
	_ = b[39]
	return Key{
		Addr:    [2][16]byte{[16]byte(b), [16]byte(b[16:])},
		Port:    [2]uint16{be.Uint16(b[32:]), be.Uint16(b[34:])},
		RDomain: be.Uint16(b[36:]),
		AF:      b[38],
	}
}

// An Update is what changes in a state (struct pfsync_upd_c), 84 bytes on the wire.
//
//	 0  id, 8 bytes       8  one half, a Peer       40  the other
//	72  creator, 4       76  expire, 4             80  timeout    81  flags    82  0, 2
type Update struct {
	ID       ID
	Src, Dst Peer
	Expire   uint32 // nobody sets it
	Timeout  uint8
	Flags    uint8 // nobody sets it
}

// Append appends the message.
func (u *Update) Append(b []byte) []byte {
	b, m := grow(b, UPDC)
	be.PutUint64(m, u.ID.ID)
	u.Src.put(m[8:])
	u.Dst.put(m[40:])
	be.PutUint32(m[72:], u.ID.Creator)
	be.PutUint32(m[76:], u.Expire)
	m[80], m[81] = u.Timeout, u.Flags
	return b
}

// ParseUpdate reads a message of UPDC.
func ParseUpdate(b []byte) Update {
	need(b, UPDC)
	return Update{
		ID:      ID{be.Uint64(b), be.Uint32(b[72:])},
		Src:     parsePeer(b[8:]),
		Dst:     parsePeer(b[40:]),
		Expire:  be.Uint32(b[76:]),
		Timeout: b[80],
		Flags:   b[81],
	}
}

// Check reports [ErrValue] if the timeout or a level is none that pf has.
func (u *Update) Check() error { return checkHalves(u.Timeout, &u.Src, &u.Dst) }

func checkHalves(timeout uint8, src, dst *Peer) error {
	switch {
	case timeout >= Timeouts:
		return fmt.Errorf("%w: timeout %d", ErrValue, timeout)
	case src.Level > maxLevel || dst.Level > maxLevel:
		return fmt.Errorf("%w: levels %d:%d", ErrValue, src.Level, dst.Level)
	}
	return nil
}

const (
	// Timeouts is how many kinds of timeout pf has, the number of the first that is none. The
	// number of each that is left, and of those of states that are being taken down, is sent
	// by some kernels and refused by all.
	Timeouts = 20
	maxLevel = 12
)

// A State is a state, whole (struct pfsync_state), 264 bytes on the wire.
//
//	  0  id, 8          8  interface, 16     24  the key on the wire, a Key   64  that inside
//	104  source half, a Peer                136  the other half
//	168  route, 16    184  rule, 4          188  anchor, 4    192  NAT rule, 4
//	196  age, 4       200  expire, 4        204  packets, 2 of 8   220  bytes, 2 of 8
//	236  creator, 4   240  routing tables, 2 of 4
//	248  MSS, 2       250  family    251  protocol    252  direction    253  log
//	254  route kind   255  timeout   256  sync flags  257  updates      258  least TTL    259  TOS
//	260  flags, 2     262  priorities, 2 of 1
type State struct {
	ID             ID
	IfName         Name
	Wire, Stack    Key
	Src, Dst       Peer
	RtAddr         [16]byte
	Rule, Anchor   uint32 // None for none
	NATRule        uint32
	Age, Expire    uint32    // seconds since it was made, and until it expires
	Packets, Bytes [2]uint64 // in its direction, and against it
	RTable         [2]int32
	MaxMSS         uint16
	AF, Proto      uint8
	Direction      uint8 // In or Out
	Log, Rt        uint8
	Timeout        uint8
	SyncFlags      uint8
	Updates        uint8
	MinTTL, SetTOS uint8
	Flags          uint16
	SetPrio        [2]uint8
}

// What fields of a State say.
const (
	None = 0xffffffff // no rule

	In  = 1
	Out = 2
)

// Append appends the message, of action INS, UPD or DEL.
func (s *State) Append(b []byte) []byte {
	b, m := grow(b, INS)
	be.PutUint64(m, s.ID.ID)
	copy(m[8:], s.IfName[:])
	s.Wire.put(m[24:])
	s.Stack.put(m[64:])
	s.Src.put(m[104:])
	s.Dst.put(m[136:])
	copy(m[168:], s.RtAddr[:])
	be.PutUint32(m[184:], s.Rule)
	be.PutUint32(m[188:], s.Anchor)
	be.PutUint32(m[192:], s.NATRule)
	be.PutUint32(m[196:], s.Age)
	be.PutUint32(m[200:], s.Expire)
	be.PutUint64(m[204:], s.Packets[0])
	be.PutUint64(m[212:], s.Packets[1])
	be.PutUint64(m[220:], s.Bytes[0])
	be.PutUint64(m[228:], s.Bytes[1])
	be.PutUint32(m[236:], s.ID.Creator)
	be.PutUint32(m[240:], uint32(s.RTable[0]))
	be.PutUint32(m[244:], uint32(s.RTable[1]))
	be.PutUint16(m[248:], s.MaxMSS)
	m[250], m[251], m[252], m[253] = s.AF, s.Proto, s.Direction, s.Log
	m[254], m[255], m[256], m[257] = s.Rt, s.Timeout, s.SyncFlags, s.Updates
	m[258], m[259] = s.MinTTL, s.SetTOS
	be.PutUint16(m[260:], s.Flags)
	m[262], m[263] = s.SetPrio[0], s.SetPrio[1]
	return b
}

// ParseState reads a message of INS, UPD or DEL.
func ParseState(b []byte) State {
	need(b, INS)
	return State{
		ID:        ID{be.Uint64(b), be.Uint32(b[236:])},
		IfName:    Name(b[8:]),
		Wire:      parseKey(b[24:]),
		Stack:     parseKey(b[64:]),
		Src:       parsePeer(b[104:]),
		Dst:       parsePeer(b[136:]),
		RtAddr:    [16]byte(b[168:]),
		Rule:      be.Uint32(b[184:]),
		Anchor:    be.Uint32(b[188:]),
		NATRule:   be.Uint32(b[192:]),
		Age:       be.Uint32(b[196:]),
		Expire:    be.Uint32(b[200:]),
		Packets:   [2]uint64{be.Uint64(b[204:]), be.Uint64(b[212:])},
		Bytes:     [2]uint64{be.Uint64(b[220:]), be.Uint64(b[228:])},
		RTable:    [2]int32{int32(be.Uint32(b[240:])), int32(be.Uint32(b[244:]))},
		MaxMSS:    be.Uint16(b[248:]),
		AF:        b[250],
		Proto:     b[251],
		Direction: b[252],
		Log:       b[253],
		Rt:        b[254],
		Timeout:   b[255],
		SyncFlags: b[256],
		Updates:   b[257],
		MinTTL:    b[258],
		SetTOS:    b[259],
		Flags:     be.Uint16(b[260:]),
		SetPrio:   [2]uint8{b[262], b[263]},
	}
}

// CheckUpdate reports [ErrValue] for what no state can have, as far as an update is concerned: its
// timeout and levels.
func (s *State) CheckUpdate() error { return checkHalves(s.Timeout, &s.Src, &s.Dst) }

// CheckInsert reports [ErrValue] for what no state can have: timeout, levels, direction, families. A
// key of family 0 is of the state's; if one is not then neither may be.
func (s *State) CheckInsert() error {
	if err := s.CheckUpdate(); err != nil {
		return err
	}
	switch {
	case s.Direction > Out:
		return fmt.Errorf("%w: direction %d", ErrValue, s.Direction)
	case !family(s.AF):
		return fmt.Errorf("%w: address family %d", ErrValue, s.AF)
	case (s.Wire.AF != 0 || s.Stack.AF != 0) && !(family(s.Wire.AF) && family(s.Stack.AF)):
		return fmt.Errorf("%w: address families %d and %d of the keys", ErrValue, s.Wire.AF, s.Stack.AF)
	}
	return nil
}

func family(af uint8) bool { return af == AFInet || af == AFInet6 }

// A Tunnel is the counters of an IPsec SA (struct pfsync_tdb), 52 bytes on the wire. Its destination
// is a BSD socket address: length, family, port, and then the address, which IPv6 has a flow label
// in front of and a scope behind.
//
//	 0  SPI, 4      4  destination, 28     32  replay counter, 8     40  bytes, 8
//	48  protocol   49  updates             50  routing domain, 2
type Tunnel struct {
	SPI     uint32
	Dst     [28]byte
	RPL     uint64 // the last sequence number
	Bytes   uint64
	Proto   uint8 // 50 ESP, 51 AH
	Updates uint8
	RDomain uint16
}

// Append appends the message.
func (t *Tunnel) Append(b []byte) []byte {
	b = be.AppendUint32(b, t.SPI)
	b = append(b, t.Dst[:]...)
	b = be.AppendUint64(be.AppendUint64(b, t.RPL), t.Bytes)
	return append(b, t.Proto, t.Updates, byte(t.RDomain>>8), byte(t.RDomain))
}

// ParseTunnel reads a message of TDB.
func ParseTunnel(b []byte) Tunnel {
	need(b, TDB)
	return Tunnel{
		SPI: be.Uint32(b), Dst: [28]byte(b[4:]),
		RPL: be.Uint64(b[32:]), Bytes: be.Uint64(b[40:]),
		Proto: b[48], Updates: b[49], RDomain: be.Uint16(b[50:]),
	}
}

// grow appends as many zero bytes as a message of the action has, and returns these, too.
func grow(b []byte, a Action) (all, message []byte) {
	var zero [264]byte
	n := len(b)
	b = append(b, zero[:a.Size()]...)
	return b, b[n:]
}

func need(b []byte, a Action) {
	if len(b) < a.Size() {
		panic(fmt.Errorf("%w: %v in %d bytes", errMessage, a, len(b)))
	}
}
