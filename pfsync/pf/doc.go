// Package pf is the least of a packet filter that pfsync needs: states, what they are found by, how
// long they last, and who purges them.
//
//	packet ──▶ Test ──▶ Find: no lock ──▶ a state: its windows move, it has more time
//	                        │ none
//	                        ▼
//	                    rules, the last match decides ──▶ Insert, with the table locked
//
//	a state:   first packet ──▶ found ──▶ Remove: nobody finds it, Unlinked ──▶ purge: off the list ──▶ last Release
//
// A state is one interface's part in a conversation: a firewall that forwards it has two, one that its
// packets come in by, and one that they go out by.
//
// # Usage
//
//	t := pf.New(dom, pf.Config{Rules: []pf.Rule{
//		{Dir: pf.In, On: "inside"},                                     // whatever the inside begins
//		{Dir: pf.Out},
//		{Dir: pf.In, On: "outside", Proto: pf.TCP, DstPort: pf.Ports{First: 80}}, // and web
//	}})
//	defer t.Close(ctx)
//
//	switch t.Test(l, pf.In, "outside", m) { // m begins with its IP header
//	case pf.Pass:
//		... go on with m ...
//	case pf.Block:
//		m.Free(mbuf.Denied)
//	case pf.Deferred: // a Syncer has it, and sends it when a peer knows its state
//	}
//
// Whoever keeps a state holds it ([State.Hold]); a socket that remembers one embeds an [Outside], and a
// packet that waits has a [Tag].
//
// # Concurrency
//
// Everything may be called by anyone. [Table.Find], [Table.ByID] and the methods of a State never wait:
// chains are read without a lock, and what has been taken out of one keeps its way on, so nobody who
// stands there is lost. Memory is the collector's, so a state that was found needs no reference to be
// looked at, only to be relied on. [Table.Test] takes a lock when it makes a state.
// [Table.Purge], [Table.All] and the like wait for each other, and [Table.SetSyncer] for a grace
// period: none of them in a softint.
//
// # Lock order
//
//	Table.purging  // one purge at a time
//	  Table.list   // read by who walks all states, written by who takes some off the list (pfs_rwl)
//	    Table.lock // whoever changes what can be found (pf_lock and pf_state_lock)
//	      the Syncer's, a leaf, in a read section
//	        State.mu, Table.outside, Table.tail // leaves
//
// A purge looks at the list with it locked for reading; it locks the table for 64 states at a time, and
// looks again whether they are over before it takes them down.
//
// # Differences from BSD
//
// OpenBSD takes down what was over when it looked, though it has been used since; [Table.Purge] looks
// again. Rules are a list with a dozen conditions, and pass or block: no anchors, tables, queues, tags,
// routes or translation, no normalisation and no SYN proxy. What a peer's states have of these is kept
// and sent on as it came, and a packet of a state whose addresses are translated is blocked. Fragments
// are blocked, as they have no ports. States of neighbour discovery are made of each message alone. A
// TCP segment that is ahead of what a peer told of the conversation is believed once in each
// direction, where OpenBSD drops what was sent after the peer's last word. Peers can make
// interfaces known by name, 256 of them; in OpenBSD any number.
// Sources: pf(4), pf.conf(5), OpenBSD pf.c 1.1207, pfvar.h, pfvar_priv.h.
//
// # Debugging
//
// [Table.Stats] counts, and has how many states somebody refers to: in a table at rest as many as
// there are. [State.String] is what pfctl -ss prints, nearly.
//
// # Testing
//
// A table with [Config.Manual] has no worker: call Purge. Time is the standard clock's, in whole
// seconds, so tests run in virtual time.
package pf
