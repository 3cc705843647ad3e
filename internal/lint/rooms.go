package lint

import "strings"

// Module is the import path of the root module.
const Module = "github.com/softnet-go/softnet"

// floors is the house, lowest first: a room imports only rooms on floors below its own.
var floors = [][]string{
	{"internal/hook", "internal/invariants", "internal/pcap"}, // choice points; checks that cost nothing when off; files of packets
	{"internal/cpu"},                  // one LWP as those who wait for it see it
	{"witness"},                       // which locks, in which order
	{"lwp"},                           // who is running
	{"pserialize"},                    // when nobody looks any more
	{"psref", "mbuf", "internal/fib"}, // how things are held, what is carried; longest match
	{"ifnet"},                         // things that are referenced
	{"rtable"},                        //
	{"internal/deferq"},               // what deferral is made of
	{"rtcache", "netisr", "wqinput"},  // caches, deferral
	{"internal/seedcache"},            // the seed's caches, to be compared with
	{"pfsync/wire"},                   // reference consumers
	{"pfsync/pf"},                     //
	{"pfsync", "carp"},                //
}

// beside stands beside the house: the users' kit, the lessons, the tools that attack us.
// Each may import every room, and what is listed. A name ending in /... is a whole tree.
var beside = map[string][]string{
	"internal/event":        {},
	"stacktest/sched":       {"internal/event"},
	"stacktest":             {"internal/event", "stacktest/sched"},
	"stacktest/ministack":   {},
	"internal/torture":      {"internal/event", "stacktest"},
	"internal/mutants":      {},
	"internal/modelcheck":   {},
	"internal/verification": {"stacktest/sched"},
	"internal/lint":         {},
	"internal/litmus":       {},
	"internal/internet/...": {"internal/internet"},
	"examples/...":          {"internal/event", "internal/internet", "internal/seedcache", "stacktest", "stacktest/ministack", "stacktest/sched", "examples/..."},
	"carp/cmd/...":          {"internal/pcap"},
	"pfsync/cmd/...":        {"internal/pcap"},
}

// allowed is what the root go.mod may require, and who may import it.
var allowed = map[string]func(f *file) bool{
	"golang.org/x/sync":           func(*file) bool { return true },
	"go.uber.org/atomic":          func(*file) bool { return true },
	"github.com/gaissmai/bart":    func(*file) bool { return true },
	"github.com/stretchr/testify": (*file).isTest,
	"pgregory.net/rapid":          func(f *file) bool { return f.isTest() || under(f.dir(), "stacktest/...") },
}

// indirect is what the root go.mod may require for the sake of the above.
var indirect = []string{"go.yaml.in/yaml/v3"}

// floor returns the floor a package is on, or -1 if it is no room of the house.
func floor(dir string) int {
	for i, rooms := range floors {
		for _, r := range rooms {
			if r == dir {
				return i
			}
		}
	}
	return -1
}

// isLibrary reports whether dir is a room users import.
func isLibrary(dir string) bool { return floor(dir) >= 0 && !strings.HasPrefix(dir, "internal/") }

// aside returns the entry of beside that covers dir.
func aside(dir string) (name string, ok bool) {
	for name := range beside {
		if under(dir, name) {
			return name, true
		}
	}
	return "", false
}

// under reports whether dir is the package name, or in the tree name stands for.
func under(dir, name string) bool {
	if tree, ok := strings.CutSuffix(name, "/..."); ok {
		return dir == tree || strings.HasPrefix(dir, tree+"/")
	}
	return dir == name
}
