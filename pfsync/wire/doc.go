// Package wire is pfsync's wire format, version 6: what OpenBSD's firewalls tell each other about
// their states since 2023. It reads and writes bytes and knows nothing else.
//
//	IPv4, protocol 240, TTL 255 ── header ─┬─ subheader ── messages of one action
//	                                       ├─ subheader ── messages of another
//	                                       └─ ...
//
// # Usage
//
// To write a packet: [AppendHeader], and for each action [AppendSubheader] and the messages, then
// [Finish]. To read one:
//
//	sections, err := wire.Open(packet)
//	for err == nil && len(sections) > 0 {
//		var s wire.Section
//		if s, sections, err = wire.Next(sections); err == nil && s.Known() {
//			for m := range s.Messages() {
//				... wire.ParseState(m) ...
//			}
//		}
//	}
//
// Every integer is big-endian. The numbers that name a state and its creator mean nothing, so they
// are kept as they come. Messages are found by the length the subheader gives, so one that has
// grown in a later version is read as far as it is known, and an action that is not known is
// skipped; nothing marks the end of a packet but its length. The protocol has neither a key nor a
// digest: whoever can send to the interface is believed.
//
// # Concurrency
//
// Everything is a value.
//
// # Lock order
//
// There are no locks.
//
// # Differences from BSD
//
// OpenBSD accepts a header whose length does not cover the header itself; [Open] does not. FreeBSD's
// format has another version number and other states: neither reads the other's.
// Sources: OpenBSD if_pfsync.h, pfvar.h.
//
// # Debugging
//
// pfsync/cmd/pfsyncdump prints captures; contrib/wireshark has a dissector.
//
// # Testing
//
// Captures of two OpenBSD kernels and twelve packets written out by hand decode to their listed fields
// and encode to the same bytes again. FuzzDecode looks for packets that do not.
package wire
