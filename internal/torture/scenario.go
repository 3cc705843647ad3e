package main

// A scenario is a cast of actors in a world of its own.
type scenario struct {
	name  string
	about string
	setting
	cast []role
	// conduct, if set, changes the circumstances while a leg of the scenario runs.
	conduct func(d *director)
	// must says how often something has to happen in a second for the verdict to mean
	// anything: what two cores do in an ordinary build with as much work beside it, and
	// several times more at ease.
	must rates
	// charge is what a BUSTED scenario has to be convicted of, a regular expression.
	charge string
}

// Rates of events, in a second.
type rates map[counter]float64

// everyone is a cast with something of everything.
var everyone = []role{
	{"destroyer", 6, thread, depart(either)},
	{"reader", 2, thread, look},
	{"nester", 1, thread, nest},
	{"holder", 2, thread, hold},
	{"sleeper", 8, thread, sleep},
	{"hoarder", 1, thread, pile},
	{"worker", 2, softint, handle},
}

var scenarios = []scenario{
	{
		name:    "readers",
		about:   "1 to 64 threads in read sections, nothing else to protect what they see",
		setting: setting{places: 4, spare: 16, bare: true},
		cast:    []role{{"writer", 8, thread, depart(graceOnly)}, {"reader", 64, thread, look}},
		conduct: swell(8),
		must:    rates{ops: 500_000, departures: 10_000, graceWaits: 1000, overlaps: 50},
	},
	{
		name:    "sleepers",
		about:   "threads that sleep while they hold what is being destroyed",
		setting: setting{places: 16, spare: 16},
		cast:    []role{{"destroyer", 4, thread, depart(graceFirst)}, {"sleeper", 32, thread, sleep}},
		must:    rates{parks: 2000, drains: 1000, wakeups: 500, late: 1000},
	},
	{
		name:    "softints",
		about:   "workers in bursts, with checkpoints, coming and going offline",
		setting: setting{places: 16, spare: 16},
		cast:    []role{{"destroyer", 4, thread, depart(either)}, {"worker", 4, softint, handle}},
		conduct: oversubscribe,
		must:    rates{ops: 300_000, departures: 5000, answers: 10_000, offline: 200, wakeups: 50, denied: 5000},
	},
	{
		name:    "mixed",
		about:   "everybody at once",
		setting: setting{places: 16, spare: 16},
		cast:    everyone,
		must:    rates{ops: 300_000, departures: 200, graceWaits: 200, wakeups: 30, late: 50, refused: 3, answers: 300, nested: 50_000, copies: 5000},
	},
	{
		name:    "stutter",
		about:   "everybody, stopped and let go again and again",
		setting: setting{places: 16, spare: 16},
		cast:    everyone,
		conduct: stutter,
		must:    rates{ops: 200_000, departures: 200, wakeups: 30, pauses: 10},
	},
	{
		name:    "shuffle",
		about:   "everybody, while GOMAXPROCS goes to 1, 2 and 7",
		setting: setting{places: 16, spare: 16},
		cast:    everyone,
		conduct: shuffle,
		must:    rates{ops: 200_000, departures: 200, wakeups: 30, shuffles: 5},
	},
	{
		name:    "departures",
		about:   "few objects that leave all the time and are initialised again at once",
		setting: setting{places: 2, spare: 4},
		cast:    []role{{"destroyer", 2, thread, depart(either)}, {"holder", 4, thread, hold}, {"worker", 1, softint, handle}},
		must:    rates{ops: 200_000, departures: 1000, graceWaits: 500, wakeups: 300, late: 1000, refused: 100},
	},
	{
		name:    "preempted",
		about:   "holders that never yield, of one object that leaves all the time",
		setting: setting{places: 1, spare: 8},
		cast:    []role{{"destroyer", 4, thread, depart(drainFirst)}, {"holder", 6, thread, rush}},
		conduct: oversubscribe,
		must:    rates{ops: 100_000, departures: 200, wakeups: 2, late: 2},
	},
	{
		name:    "destroyers",
		about:   "many destroyers, whose waits overlap",
		setting: setting{places: 32, spare: 64},
		cast:    []role{{"destroyer", 24, thread, depart(either)}, {"holder", 4, thread, hold}, {"sleeper", 16, thread, sleep}},
		must:    rates{departures: 5000, wakeups: 1000, late: 1000, refused: 10},
	},
	{
		name:    "recursion",
		about:   "sections in sections, copies, more references than fit, released in any order",
		setting: setting{places: 32, spare: 8},
		cast: []role{
			{"destroyer", 4, thread, depart(either)}, {"nester", 2, thread, nest},
			{"hoarder", 3, thread, pile}, {"hoarding worker", 2, softint, pile},
		},
		must: rates{departures: 100, nested: 50_000, copies: 10_000, overflows: 3000, spills: 1000, refused: 5, wakeups: 10},
	},
	{
		name:    "cancel",
		about:   "waits whose context ends, resumed by whoever comes by",
		setting: setting{places: 16, spare: 64},
		cast: []role{
			{"destroyer", 4, thread, giveUp}, {"sleeper", 32, thread, sleep}, {"holder", 1, thread, hold}, {"worker", 1, softint, handle},
		},
		must: rates{cancelled: 500, resumed: 500, drains: 500, wakeups: 100, refused: 500},
	},
	{
		name:    "churn",
		about:   "LWPs that are bound for one turn, threads and softints in the same places",
		setting: setting{places: 16, spare: 16},
		cast:    []role{{"destroyer", 4, thread, depart(either)}, {"passer-by", 8, unbound, churn}},
		must:    rates{binds: 100_000, recycled: 100_000, departures: 500, wakeups: 20, answers: 1000},
	},
	{
		name:    "floods",
		about:   "hundreds of LWPs at once, and all objects leaving behind one grace period",
		setting: setting{places: 128, spare: 256},
		cast:    []role{{"flooder", 2, thread, flood}, {"crowd", 2, unbound, crowd}, {"sleeper", 8, thread, sleep}},
		must:    rates{binds: 3000, departures: 1000, wakeups: 50, late: 50},
	},
	{
		name:    "handoff",
		about:   "LWPs and what they hold, handed to another goroutine and back",
		setting: setting{places: 4, spare: 8},
		cast:    []role{{"destroyer", 2, thread, depart(either)}, {"owner", 4, thread, handOff}, {"carrier", 4, unbound, carry}},
		must:    rates{handoffs: 10_000, departures: 500, wakeups: 50, late: 50},
	},
	{
		name:    "list",
		about:   "walks along a List whose elements leave and come back elsewhere",
		setting: setting{places: 24, spare: 16, fixed: 8, listed: true, bare: true},
		cast:    []role{{"editor", 4, thread, edit(graceOnly)}, {"walker", 6, thread, walk}, {"walking worker", 2, softint, walk}},
		conduct: oversubscribe,
		must:    rates{ops: 500_000, departures: 200, graceWaits: 200, answers: 100},
	},
	{
		name:    "packets",
		about:   "packets queued by netisr and wqinput, while the interfaces they name come and go",
		setting: setting{places: 1, spare: 1, interfaces: 4},
		cast: []role{
			{"owner", 4, thread, own}, {"producer", 2, thread, produce}, {"registrar", 1, thread, rearrange},
		},
		must: rates{ops: 20_000, departures: 20, packets: 500, purged: 1, away: 500, resumed: 3},
	},
	{
		name:    "cursor",
		about:   "walks that sleep between elements",
		setting: setting{places: 24, spare: 16, fixed: 8, listed: true},
		cast:    []role{{"editor", 2, thread, edit(either)}, {"stroller", 8, thread, stroll}, {"walker", 1, thread, walk}},
		must:    rates{ops: 200_000, departures: 500, restarts: 500, wakeups: 300, parks: 500},
	},
}
