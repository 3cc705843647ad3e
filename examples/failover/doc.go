// Package failover is two firewalls that share addresses and know the same conversations, one of which is
// killed, comes back, asks for what it has missed, and takes over again. Clients and servers go on
// talking.
//
//	clients ── LAN ──┬── ada ──┬── LAN ── servers        ada, bob:  carp on both sides, pf between them,
//	                 │    ║    │                                    pfsync on a cable of their own
//	                 └── bob ──┘
package failover
