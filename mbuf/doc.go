// Package mbuf carries packets.
//
// A [Packet] has exactly one owner. Who is given one by a call that consumes it passes it on
// to another, keeps it in a queue that has a name, or ends it with [Packet.Free] and a reason;
// a call that only borrows it says so. So a packet is always somewhere, and what became of
// each can be counted:
//
//	allocated = freed, by reason + outstanding
//
//	          Alloc            Keep(queue)                 Free(reason)
//	pool ───────────▶ in hand ─────────────▶ in a queue          ┌──────▶ pool
//	                     ▲                       │               │
//	                     └───────────────────────┴─▶ in hand ────┘
//	                           Take(queue, hand)
//
// The data is one segment, with room in front for headers, or several:
//
//	            headroom         data           tailroom
//	segment  ├────────────┼─────────────────┼────────────┤
//	               ◀─ Prepend  Pull ─▶  ◀─ Trim  Append ─▶
//
// A packet names the interfaces it came by and is to leave by with an [IfID], never with a
// pointer: what waits in a queue outlives interfaces.
//
// # Usage
//
//	pool := mbuf.NewPool(mbuf.PoolConfig{Limit: 4096})
//	m, err := pool.From(frame) // a copy; ErrNoBufs when there are too many, never a wait
//	if err != nil {
//		return err
//	}
//	eth, ok := m.Pullup(14) // its first 14 bytes in one piece
//	if !ok {
//		m.Free(mbuf.Malformed)
//		return nil
//	}
//	...
//	m.Pull(14)
//	input(m) // consumes it
//
// A queue keeps what waits in it, so that a second owner is found out:
//
//	q.place = mbuf.NewQueue("carp adverts")
//	m.Keep(q.place)           // panics if m is freed, or in another queue
//	m.Take(q.place, nil)      // in hand again
//
// State that travels with a packet is a tag: a [TagKey] makes it typed, and says how it is
// freed if the packet ends before somebody has taken it.
//
// # Concurrency
//
// A Packet is its owner's. A Pool may be used by anyone, and nothing blocks. Clones share
// bytes: each may be read by its owner at the same time, and writing copies first.
//
// # Lock order
//
// Pool.mu is a leaf. A tag's free function runs in whoever frees the packet, with no lock of
// ours held, and must not take any that a caller of Free may hold.
//
// # Differences from BSD
//
// A chain of mbufs is one Packet with segments here, and a record of packets is a [List]. The
// kernel's m_pkthdr.rcvif is a pointer in FreeBSD and an index in OpenBSD and NetBSD; here it
// has a generation too. m_tag_copy copies the bytes of a tag; here only a tag with a Clone
// function is copied, because a counted pointer copied as bytes is given back twice. m_free
// takes no reason. M_WAITOK does not exist. Sources: mbuf(9), mbuf_tags(9), NetBSD
// sys/mbuf.h, uipc_mbuf.c, FreeBSD uipc_mbuf2.c.
//
// # Debugging
//
// Freeing, keeping or taking a packet that is somebody else's panics with a *witness.Violation
// that names the owner. Built with -tags invariants, or -race, or with PoolConfig.Debug, a
// pool remembers where each packet was allocated and last changed hands, overwrites what is
// freed, and never uses it again.
//
// # Testing
//
// [Pool.CheckLeaks] at the end of a test fails it for each packet that is left, with owner and
// place. [Pool.Stats] has the counts for a law of conservation.
package mbuf
