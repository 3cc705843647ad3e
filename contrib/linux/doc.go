// Package linux lets the stack, or its protocols, work on a Linux machine's interfaces: frames in
// and out by packet sockets, groups joined, addresses and links by rtnetlink.
//
// A [Socket] is frames of one interface. A [Driver] makes an interface of the stack of one, for
// [github.com/softnet-go/softnet/ifnet]. [Link] is the machine's own view of the interface. The
// daemon carpd, in cmd/carpd, drives CARP's pure core with a Socket and a Link. A [Seal] is for protocols
// that believe whoever is on the link, as pfsync does: a driver with one is believed by those, and
// believes those, who have its key.
//
// The daemon firewalld, in cmd/firewalld, is a stateful firewall of this module's packages alone;
// demo/failover.sh kills one of two under a TCP connection of the kernel's, which goes on.
//
// All of it wants CAP_NET_RAW, and what changes addresses CAP_NET_ADMIN.
package linux
