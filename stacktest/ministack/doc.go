// Package ministack is a small IPv4 and IPv6 host, to be read, taught with and tested against.
//
//	frame ─▶ ifnet.Input ─▶ netisr, protocol "ether": a softint
//	           ├─ ARP ──────────────── neighbours
//	           ├─ IPv4 ─▶ checks ─┐
//	           └─ IPv6 ─▶ checks ─┴─▶ wqinput.Protosw ─▶ ICMP, ICMPv6: threads
//	                                                      ├─ echo ─▶ netisr.SendQueue ─▶ Transmit
//	                                                      ├─ redirect ─▶ rtable, waits
//	                                                      └─ neighbour discovery ─▶ neighbours
//
// Everything that is wrong with a packet is a reason to drop it, counted by the pool.
package ministack
