package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// A LinkType says what a packet of a capture begins with. The numbers are those of
// https://www.tcpdump.org/linktypes.html.
type LinkType uint32

const (
	Ethernet LinkType = 1   // an Ethernet header
	Raw      LinkType = 101 // an IPv4 or IPv6 header
)

// A Packet is one record.
type Packet struct {
	Time time.Time
	Data []byte // what was captured
	Len  int    // what was on the wire; never less
}

const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	magicNG    = 0x0a0d0d0a // the same in both orders

	fileHeader   = 24
	recordHeader = 16

	// maxSnap is the most that a record may hold: tcpdump refuses more.
	maxSnap = 262144
)

// The errors of a Reader, for errors.Is.
var (
	ErrFormat    = errors.New("not a classic pcap file")
	ErrTruncated = errors.New("capture ends within a record") // what came before it has been read
)

// A Reader reads a capture.
type Reader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	unit  time.Duration
	link  LinkType
	n     int // packets read
}

// NewReader reads the header of a capture. Errors: [ErrFormat], and those of r.
func NewReader(r io.Reader) (*Reader, error) {
	pr := &Reader{r: bufio.NewReader(r)}
	var h [fileHeader]byte
	if _, err := io.ReadFull(pr.r, h[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("pcap: %w: shorter than a header", ErrFormat)
		}
		return nil, fmt.Errorf("pcap: %w", err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(h[:]) {
		case magicMicro:
			pr.order, pr.unit = order, time.Microsecond
		case magicNano:
			pr.order, pr.unit = order, time.Nanosecond
		case magicNG:
			return nil, fmt.Errorf("pcap: %w: it is pcapng; editcap -F pcap converts it", ErrFormat)
		}
	}
	if pr.order == nil {
		return nil, fmt.Errorf("pcap: %w: magic number %x", ErrFormat, h[:4])
	}
	if v := pr.order.Uint16(h[4:]); v != 2 {
		return nil, fmt.Errorf("pcap: %w: version %d", ErrFormat, v)
	}
	pr.link = LinkType(pr.order.Uint32(h[20:]) & 0x0fffffff) // above it is the length of a frame's checksum
	return pr, nil
}

// LinkType returns what each packet begins with.
func (r *Reader) LinkType() LinkType { return r.link }

// Next returns the next packet, in memory of its own, and io.EOF after the last. Errors:
// [ErrTruncated], [ErrFormat], and those of what is read.
func (r *Reader) Next() (Packet, error) {
	var h [recordHeader]byte
	if n, err := io.ReadFull(r.r, h[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return Packet{}, io.EOF
		}
		return Packet{}, r.failed(err)
	}
	caught, wire := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if caught > maxSnap || wire > 1<<31-1 {
		return Packet{}, fmt.Errorf("pcap: packet %d: %w: it claims to be %d bytes, %d of them captured", r.n+1, ErrFormat, wire, caught)
	}
	p := Packet{Data: make([]byte, caught), Len: max(int(caught), int(wire))}
	if _, err := io.ReadFull(r.r, p.Data); err != nil {
		return Packet{}, r.failed(err)
	}
	p.Time = time.Unix(int64(r.order.Uint32(h[0:])), int64(r.order.Uint32(h[4:]))*int64(r.unit)).UTC()
	r.n++
	return p, nil
}

func (r *Reader) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	return fmt.Errorf("pcap: packet %d: %w", r.n+1, err)
}

// ReadAll returns the link type of a capture and all its packets: with an error, those
// before it.
func ReadAll(r io.Reader) (LinkType, []Packet, error) {
	pr, err := NewReader(r)
	if err != nil {
		return 0, nil, err
	}
	var ps []Packet
	for {
		p, err := pr.Next()
		if errors.Is(err, io.EOF) {
			return pr.link, ps, nil
		}
		if err != nil {
			return pr.link, ps, err
		}
		ps = append(ps, p)
	}
}

// A Writer writes a capture: little-endian, with nanoseconds, whole packets.
type Writer struct {
	w   io.Writer
	buf []byte
}

// NewWriter writes the header of a capture. Each packet is then one call of w.Write.
func NewWriter(w io.Writer, link LinkType) (*Writer, error) {
	h := binary.LittleEndian.AppendUint32(nil, magicNano)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 4)
	h = append(h, make([]byte, 8)...) // time zone and accuracy, of which nobody makes use
	h = binary.LittleEndian.AppendUint32(h, maxSnap)
	h = binary.LittleEndian.AppendUint32(h, uint32(link))
	if _, err := w.Write(h); err != nil {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	return &Writer{w: w}, nil
}

// Write writes a packet that was seen at a time, in one piece or in several: a layer each,
// say. What is longer than a record may be is cut off, and its length kept.
func (w *Writer) Write(at time.Time, data ...[]byte) error {
	n := 0
	for _, d := range data {
		n += len(d)
	}
	b := binary.LittleEndian.AppendUint32(w.buf[:0], uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(min(n, maxSnap)))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for _, d := range data {
		b = append(b, d...)
	}
	w.buf = b
	if _, err := w.w.Write(b[:min(len(b), recordHeader+maxSnap)]); err != nil {
		return fmt.Errorf("pcap: %w", err)
	}
	return nil
}
