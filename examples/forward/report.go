package forward

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/softnet-go/softnet/rtable"
)

// A report is what came of a run; -json shows it as it is.
type report struct {
	Unsafe      string  `json:"unsafe,omitempty"`
	Interrupted bool    `json:"interrupted,omitempty"`
	Seed        uint64  `json:"seed"`
	Seconds     float64 `json:"seconds"`
	Threads     int     `json:"threads"`
	Softints    int     `json:"softints"`

	IPv4        int     `json:"ipv4Routes"`
	IPv6        int     `json:"ipv6Routes"`
	LoadSeconds float64 `json:"loadSeconds"`
	HeapBytes   uint64  `json:"heapBytes"` // after the load

	Packets     uint64  `json:"packets"` // = Sent + NoRoute + Updating + GatewayLeft
	PerSecond   float64 `json:"packetsPerSecond"`
	Sent        uint64  `json:"sent"`
	NoRoute     uint64  `json:"missedNoRoute"`
	Updating    uint64  `json:"missedUpdating"`
	GatewayLeft uint64  `json:"missedGatewayLeft"`
	Slept       uint64  `json:"burstsSleptWith"`

	Cache struct {
		Hits     uint64 `json:"hits"`
		Refills  uint64 `json:"refills"`
		NoRoute  uint64 `json:"missedNoRoute"`
		Updating uint64 `json:"missedUpdating"`
	} `json:"cache"` // = Packets
	Torn   uint64 `json:"tornReads"`
	Frames frames `json:"frames"`

	Changes struct {
		PerSecond float64 `json:"perSecond"`
		Added     uint64  `json:"added"`
		Deleted   uint64  `json:"deleted"`
		Changed   uint64  `json:"changed"`
		Updated   uint64  `json:"updatedInPlace"`
	} `json:"routeChanges"`
	Gateways struct {
		Renewed    uint64  `json:"renewed"`
		Left       uint64  `json:"left"`
		RoutesLost uint64  `json:"routesLost"`
		RoutesBack uint64  `json:"routesBack"`
		Longest    float64 `json:"longestDestroySeconds"`
	} `json:"gateways"`
	Table struct {
		Freed   uint64  `json:"freed"`
		Graces  uint64  `json:"gracePeriods"`
		Trash   uint64  `json:"trashWhenForwardingEnded"`
		Longest float64 `json:"longestDestroySeconds"`
		Left    uint64  `json:"notFreedAtTheEnd"`
	} `json:"table"`

	Violations uint64            `json:"violations"`
	ByKind     map[string]uint64 `json:"violationsByKind,omitempty"`
	First      string            `json:"firstViolation,omitempty"`
	FirstAfter float64           `json:"firstViolationAfterSeconds,omitempty"`
}

func newReport(c config, ps []netip.Prefix) *report {
	rep := &report{Unsafe: c.unsafe, Seed: c.seed, Threads: (c.workers + 1) / 2, Softints: c.workers / 2}
	for _, p := range ps {
		if p.Addr().Is4() {
			rep.IPv4++
		} else {
			rep.IPv6++
		}
	}
	return rep
}

// finish fills in what is known when everything has ended.
func (rep *report) finish(r *router, c counts, atEnd rtable.Stats) {
	rep.Packets, rep.Sent, rep.NoRoute, rep.Updating, rep.GatewayLeft, rep.Slept = c.in, c.sent, c.noRoute, c.updating, c.gatewayLeft, c.slept
	cs := r.caches.Stats()
	rep.Cache.Hits, rep.Cache.Refills, rep.Cache.NoRoute, rep.Cache.Updating = cs.Hits, cs.Refills, cs.NoRoute, cs.Updating
	rep.Torn = r.faults.counts[torn].Load()
	rep.PerSecond = float64(c.in) / rep.Seconds
	rep.Frames = r.path.frames()

	ch := r.changes
	rep.Changes.Added, rep.Changes.Deleted, rep.Changes.Changed, rep.Changes.Updated = ch.added, ch.deleted, ch.changed, ch.updated
	rep.Changes.PerSecond = float64(ch.added+ch.deleted+ch.changed+ch.updated) / rep.Seconds
	rep.Gateways.Renewed, rep.Gateways.Left = ch.renewed, ch.left
	rep.Gateways.RoutesLost, rep.Gateways.RoutesBack = ch.lost, ch.back
	rep.Gateways.Longest = r.class.Stats().Longest.Seconds()

	rep.Table.Freed, rep.Table.Graces, rep.Table.Trash = atEnd.Freed, atEnd.Graces, atEnd.Trash
	rep.Table.Longest = atEnd.Longest.Seconds()
	rep.Table.Left = r.table.Stats().Trash

	rep.Violations, rep.ByKind, rep.First = r.faults.total(), r.faults.byKind(), r.faults.first
	rep.FirstAfter = r.faults.after.Seconds()
}

// conserved reports whether every packet and every frame that came in was sent or missed for a
// reason.
func (rep *report) conserved() bool {
	return rep.Packets == rep.accounted() && rep.Frames.Received == rep.Frames.accounted()
}

func (rep *report) accounted() uint64 {
	return rep.Sent + rep.NoRoute + rep.Updating + rep.GatewayLeft
}

// ok reports whether every promise was kept.
func (rep *report) ok() bool { return rep.Violations == 0 && rep.conserved() }

func (rep *report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(rep)
}

// text writes the report for people.
func (rep *report) text(w io.Writer) {
	row := func(what string, n uint64, format string, args ...any) {
		line := fmt.Sprintf("%-16s %13s  %s", what, thousands(n), fmt.Sprintf(format, args...))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	share := func(n uint64) float64 { return 100 * float64(n) / max(1, float64(rep.Packets)) }

	fmt.Fprintf(w, "\nforwarded for %.1f s", rep.Seconds)
	if rep.Interrupted {
		fmt.Fprint(w, " until interrupted")
	}
	fmt.Fprintf(w, ", %s and %s, seed %d", several(rep.Threads, "thread"), several(rep.Softints, "softint"), rep.Seed)
	if rep.Unsafe != "" {
		fmt.Fprintf(w, ", UNSAFE: %s", rep.Unsafe)
	}
	fmt.Fprint(w, "\n\n")

	row("routes", uint64(rep.IPv4+rep.IPv6), "%s IPv4 and %s IPv6, loaded in %.2f s; heap %d MB",
		thousands(rep.IPv4), thousands(rep.IPv6), rep.LoadSeconds, rep.HeapBytes>>20)
	row("packets", rep.Packets, "%.2f M/s; threads slept with %s bursts of them", rep.PerSecond/1e6, thousands(rep.Slept))
	row("  sent", rep.Sent, "%.2f %%", share(rep.Sent))
	row("  no route", rep.NoRoute, "%.2f %%: theirs was withdrawn, or had gone with its gateway", share(rep.NoRoute))
	row("  updating", rep.Updating, "%.2f %%: theirs was being changed", share(rep.Updating))
	row("  gateway left", rep.GatewayLeft, "%.2f %%: between finding the route and finding the gateway", share(rep.GatewayLeft))
	ca := rep.Cache
	row("cache hits", ca.Hits, "%.2f %% of packets", share(ca.Hits))
	row("  refills", ca.Refills, "%.2f %%", share(ca.Refills))
	row("  no route", ca.NoRoute, "%.2f %%, and remembered", share(ca.NoRoute))
	row("  updating", ca.Updating, "%.2f %%", share(ca.Updating))
	row("torn reads", rep.Torn, "of routes and gateways that were held")
	f := rep.Frames
	part := func(n uint64) float64 { return 100 * float64(n) / max(1, float64(f.Received)) }
	row("frames", f.Received, "the whole way, in by one interface and out by another; %s more were lost before", thousands(f.Lost))
	row("  sent", f.Sent, "%.2f %%", part(f.Sent))
	row("  no route", f.NoRoute, "%.2f %%", part(f.NoRoute))
	row("  updating", f.Updating, "%.2f %%", part(f.Updating))
	row("  queue full", f.QueueFull, "%.2f %%", part(f.QueueFull))
	row("  interface left", f.InterfaceLeft, "%.2f %%: %s were queued when it did", part(f.InterfaceLeft), thousands(f.Waited))
	c := rep.Changes
	row("route changes", c.Added+c.Deleted+c.Changed+c.Updated, "%.0f/s: %s added, %s deleted, %s replaced, %s updated in place",
		c.PerSecond, thousands(c.Added), thousands(c.Deleted), thousands(c.Changed), thousands(c.Updated))
	g := rep.Gateways
	row("gateways left", g.Left, "with %s routes; %s came back", thousands(g.RoutesLost), thousands(g.RoutesBack))
	row("  renewed", g.Renewed, "neighbour entries; longest Destroy %s", seconds(g.Longest))
	t := rep.Table
	row("routes freed", t.Freed, "in %s grace periods; longest Destroy %s", thousands(t.Graces), seconds(t.Longest))
	row("  not freed", t.Trash, "when forwarding ended; %s when all was closed", thousands(t.Left))
	row("violations", rep.Violations, "")
	for _, kind := range slices.Sorted(maps.Keys(rep.ByKind)) {
		row("", rep.ByKind[kind], "%s", kind)
	}

	switch {
	case !rep.conserved():
		fmt.Fprintf(w, "\nBROKEN: %s packets and %s frames came in, %s and %s are accounted for\n",
			thousands(rep.Packets), thousands(f.Received), thousands(rep.accounted()), thousands(f.accounted()))
	case rep.Violations > 0:
		fmt.Fprintf(w, "\nCAUGHT after %s: %s\n", seconds(rep.FirstAfter), rep.First)
	case rep.Unsafe != "":
		fmt.Fprint(w, "\nNothing was caught, which proves nothing: forward for longer.\n")
	default:
		fmt.Fprint(w, "\nHELD: every packet and frame was sent or missed for a reason, and nothing was freed while it was used.\n")
	}
}

// several writes "1 thread", "2 threads".
func several(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// seconds writes a time with three digits.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
}

// thousands writes a number with commas.
func thousands[T int | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
