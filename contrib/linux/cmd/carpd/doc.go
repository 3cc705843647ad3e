// Carpd shares addresses with other machines by CARP: OpenBSD, FreeBSD, NetBSD, ucarp and itself.
//
//	carpd -i eth0 -vhid 7 -passfile /etc/carp.pass -vip 10.0.0.100 -advskew 100 -shutdown
//
// It runs in the foreground, logs to the standard error and ends on SIGTERM or SIGINT.
//
//	-i IF             the interface
//	-src ADDR         the source of IPv4 advertisements; the interface's first address if not given
//	-vhid N           the number of the group, 1 to 255
//	-pass P           the password, at most 19 bytes; others may see it in the list of processes
//	-passfile F       a file whose first line is the password
//	-vip ADDR,...     the addresses to share, IPv4 or IPv6; the same set on every machine
//	-advbase S        seconds between advertisements, 0 to 254 (default 1)
//	-advskew N        1/256 s more, 0 to 254: who has least is preferred
//	-masterdown M     classic or scaled: how long to wait for a master; see carp.MasterDown
//	-preempt          take over from a worse master
//	-fresh            counters that grow, against replays; only among carpd, see carp.Config
//	-up CMD           run CMD IF ADDR for each address on becoming master
//	-down CMD         and this one when no longer master
//	-group ADDR       the IPv4 group to advertise to, instead of 224.0.0.18
//	-peer ADDR        advertise to one machine instead
//	-shutdown         bow out on the way out, so that another machine takes over at once
//	-demote N         start with group carp demoted by N, 0 to 255
//	-pcap FILE        write what is sent and received
//	-http ADDR        a page with the status, and /status as JSON; :PORT is on 127.0.0.1 only
//
// Without -up and -down carpd gives the addresses to the interface itself while it is master, and
// takes them away when it is not. With either of them it leaves addresses alone. A command runs
// beside the protocol, never twice at a time; while one runs, only the latest change waits.
//
// SIGUSR1 prints the status. SIGUSR2 demotes by one, bows out, and begins anew as backup, so that
// any machine there is takes over; the next SIGUSR2 takes the demotion back.
//
// # Link addresses
//
// Advertisements have the virtual link address 00:00:5e:00:01:VHID as source. The addresses
// themselves are announced, and answered for by the kernel, at the interface's own link address: as
// with ucarp they move to another one with the master, and who has them cached learns that from
// the announcement.
//
// # Privileges
//
// It has to be started with CAP_NET_RAW and CAP_NET_ADMIN. Once its sockets and files are open it
// keeps CAP_NET_ADMIN alone, and commands may have these two and no more. That works in a
// program built without cgo (CGO_ENABLED=0); otherwise it says so and keeps what it has.
package main
