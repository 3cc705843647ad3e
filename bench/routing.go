package main

import (
	"encoding/binary"
	"time"
)

// routing is the full Internet table: looked up, changed, loaded.
func routing() []row {
	var rows []row
	for _, part := range []func() []row{lookups, scaling, changing, cached, forwarding, tables} {
		rows = append(rows, part()...)
	}
	return rows
}

// A family is IPv4 or IPv6, with what is promised of each.
type family struct {
	name          string
	six           bool
	single, burst float64 // how many times as fast as bart alone
	bytes         float64 // of the FIB, a route
}

var families = []family{{"v4", false, 4, 6, 15}, {"v6", true, 2, 4, 40}}

// random is addresses all over the table: as bad as can be. hot is few.
const (
	random = 1 << 20
	hot    = 256
)

func lookups() (rows []row) {
	for _, f := range families {
		ours := func(soft bool) *router { return newRouter(soft, f.six, random) }
		theirs := func() *routers { return newRouters(f.six, random) }
		var (
			// A lookup that looks at nothing of the route is half of one: the target is against
			// bart and a field of the route that it has found.
			bare    = on(1, "bart, nothing read", func() body { return theirs().bare })
			read    = on(1, "bart, a field of the route read", func() body { return theirs().read })
			locked  = on(1, "RWMutex + bart", func() body { return theirs().locked })
			counted = on(1, "RWMutex + bart + a count", func() body { return theirs().counted })
			persist = on(1, "atomic.Pointer + persistent bart", func() body { return theirs().persistent })
			get     = on(1, "", func() body { return ours(true).get })
		)
		name := func(what string) string { return "rtable " + what + ", " + f.name + ", random" }
		rows = append(rows,
			row{name("Get+Release, softint"), get, []line{faster(f.single, read), beside(bare), beside(locked), beside(counted), beside(persist)}},
			row{name("GetBurst of 16, softint"), on(1, "", func() body { return ours(true).getBurst }), []line{faster(f.burst, read), beside(bare)}},
			row{name("Get+Release, thread"), on(1, "", func() body { return ours(false).get }), []line{beside(read)}},
			row{name("Peek, softint"), on(1, "", func() body { return ours(true).peek }), []line{beside(read)}},
			row{name("PeekBurst of 16, softint"), on(1, "", func() body { return ours(true).peekBurst }), []line{beside(read)}},
			row{name("Lookup+Unref, thread"), on(1, "", func() body { return ours(false).lookup }), []line{beside(counted)}},
			row{name("Get: allocations"), allocations(get), []line{nothing()}},
		)
	}
	radix := on(1, "go-immutable-radix", func() body { return newRouters(false, random).radix })
	rows[0].lines = append(rows[0].lines, beside(radix))
	return rows
}

func scaling() (rows []row) {
	for _, f := range families {
		get := func() body { return newRouter(true, f.six, hot).get }
		one := on(1, "one core", get)
		locked := on(2, "RWMutex + bart", func() body { return newRouters(f.six, hot).locked })
		counted := on(2, "RWMutex + bart + a count", func() body { return newRouters(f.six, hot).counted })
		rows = append(rows,
			row{"rtable Get+Release, softint, " + f.name + ", hot", one, []line{beside(on(1, "bart, a field of the route read", func() body { return newRouters(f.six, hot).read }))}},
			row{"rtable Get+Release, softint, " + f.name + ", hot, two cores", on(2, "", get), []line{atMost(1.1, one), faster(6, locked), beside(counted)}},
		)
	}
	return rows
}

func changing() (rows []row) {
	for _, f := range families {
		idle := on(1, "no change", func() body { return newRouter(true, f.six, random).get })
		busy := against("", func() load {
			r := newRouter(true, f.six, random)
			return load{body: r.get, beside: r.changeAtARate}
		})
		change := on(1, "", func() body { return newRouter(true, f.six, random).change })
		persist := on(1, "persistent bart", func() body { return newRouters(f.six, random).change })
		rows = append(rows,
			row{"rtable Get+Release, softint, " + f.name + ", random, 10,000 changes a second", busy, []line{atMost(1.25, idle)}},
			row{"rtable: a route withdrawn or announced, " + f.name, change, []line{under(20 * time.Microsecond), beside(persist)}},
		)
	}
	return rows
}

func cached() []row {
	hit := on(1, "", func() body { return newRouter(true, false, hot).hit })
	seed := on(1, "rtcache_lock and rt_lock", func() body { return newRouter(false, false, hot).seedHit })
	return []row{
		{"rtcache hit+Release, softint", hit, []line{atMost(0.6, exchange), beside(seed)}},
		{"rtcache hit+Release, thread", on(1, "", func() body { return newRouter(false, false, hot).hit }), []line{beside(seed)}},
		{"rtcache: allocations", allocations(hit), []line{nothing()}},
	}
}

// forwarding is the loop of a forwarder without its packets: where does each go?
func forwarding() (rows []row) {
	for _, f := range families {
		for _, many := range []struct {
			name string
			n    int
		}{{"random", random}, {"hot", hot}} {
			none := on(1, "no safety", func() body { return newRouter(true, f.six, many.n).forwardUnsafe })
			rows = append(rows,
				row{"forward with Peek, " + f.name + ", " + many.name, on(1, "", func() body { return newRouter(true, f.six, many.n).forward }), []line{atMost(1.03, none)}},
				row{"forward with a reference a packet, " + f.name + ", " + many.name, on(1, "", func() body { return newRouter(true, f.six, many.n).forwardHolding }), []line{beside(none)}},
			)
		}
	}
	return rows
}

func tables() []row {
	rows := []row{{"rtable: load of the full table, FIB included", fixed("", "ms", loadOurs),
		[]line{atMost(3, fixed("bart, keeping the same routes", "ms", loadKept)), beside(fixed("bart of numbers", "ms", loadNumbers))}}}
	for _, f := range families {
		rows = append(rows, row{"rtable: FIB of the full table, a route, " + f.name, fixed("", "B", func() float64 { return fibBytes(f.six) }), []line{noLargerThan(f.bytes)}})
	}
	return rows
}

// radixKey is an address or prefix a byte for each bit, as a radix tree of bytes wants it.
func radixKey(a uint32, bits int) []byte {
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], a)
	key := make([]byte, bits)
	for i := range key {
		key[i] = four[i/8] >> (7 - i%8) & 1
	}
	return key
}
