// Package pcap reads and writes captures in the classic format of tcpdump(1), pcap-savefile(5).
//
// That format is a header and a record a packet, 16 bytes and what was captured of it, in
// either byte order and with either microseconds or nanoseconds. It is what every tool opens,
// so it is the one that is written; pcapng is refused by its name.
package pcap
