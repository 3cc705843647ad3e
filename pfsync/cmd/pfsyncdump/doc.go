// Command pfsyncdump prints the pfsync packets of a capture, for which tcpdump has no printer outside
// OpenBSD.
//
//	go run ./pfsync/cmd/pfsyncdump [-json] FILE.pcap
//
// FILE is in tcpdump's classic format; - is standard input. For each packet it prints addresses and
// length, and below that each section with its messages:
//
//	1.004506 10.9.0.1 > 224.0.0.240: PFSYNCv6 len 552
//	    INS count 2
//	        icmp 10.20.0.1:14005 10.30.0.1:8 in all 0:0 icmp.error age 1s expires 3s 3:3 pkts 252:252 bytes id 65a1b2c300000012/abcdef01
//	        ...
//
// With -json it prints an object a packet, with every field. What is wrong with a packet, or odd, it
// says at the end, and then ends with status 1: a TTL that is not 255, another version, a length
// that is more than there is, an action that can be neither taken nor skipped. Status 2 is for what it
// could not read.
package main
