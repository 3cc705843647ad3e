// Carpdump prints every CARP advertisement of a capture.
//
//	carpdump [-json] [-pass P] [-vip ADDR[,ADDR...]] FILE.pcap
//
// Each is a line: when, from and to whom, all fields, whether TTL and checksum are right, and,
// when -vip or -pass is given, whether that password and that set of addresses have signed it.
// With -json each is an object. FILE may be - for the standard input. The capture begins with
// Ethernet or IP headers.
//
// # Exit status
//
//	0  every advertisement is one that a node would believe, as far as was asked
//	1  some is not
//	2  the command line or the capture makes no sense
package main
