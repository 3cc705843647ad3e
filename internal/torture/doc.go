// Command torture runs read sections, passive references, grace periods and departures
// against each other, for as long as it is told, and says what it saw:
//
//	go run ./internal/torture -all -for 2s       everything, in less than a minute
//	go run ./internal/torture -run cancel        one scenario, for 10 seconds
//	go run ./internal/torture -busted all        what must be convicted
//	go run -race ./internal/torture -all         with every check there is
//
// -list says which scenarios there are. -for is for each of them; -all runs them one
// after the other, and then the BUSTED ones. The exit status is 0 only if nothing was
// broken, nothing was vacuous, and every BUSTED scenario was convicted. -json writes the
// same and more, a line each. -seed repeats what the actors chose, though not when they
// were run.
//
// # How it knows
//
// The method is rcutorture's Reader Pipe. Objects go round: published, out of sight,
// waited for, used again. Each carries in one word which generation it is and which waits
// have ended since it left. Whoever looks at one looks again before it leaves its section
// or releases its reference, having dwelt there: yielded, spun, or slept, where one may
// sleep. What it saw goes into a histogram of ages:
//
//	published   leaving   gone   reused
//
// Leaving is legal: it is what one is being waited for. Gone means that the wait which
// should have lasted has ended, and reused that the object is another one by now; either
// is a violation, "!!!". In a section it is Perform that must wait, while holding it is
// Destroy; half of the departures call the one first and half the other.
//
// Four more things convict. Some holders count themselves, and Destroy must not return
// before they are down to none. Each object carries plain memory which is written before
// it is published and wiped before it is used again, for the race detector to read. The
// actors stop every second: then every object must be in exactly one place, and no LWP
// in a section or holding anything. Actors that have not stopped half a minute after they
// were told to are a hang, and every stack is printed: the one place where a timeout is
// a verdict.
//
// # How it knows that it knows
//
// A run in which nobody had to wait proves nothing. Each scenario says how often what it
// is about must happen; if it does not, even in overtime, the verdict is VACUOUS, which is
// no success. And the BUSTED scenarios use the library wrongly, each in one way that
// somebody will try. They must all be convicted.
//
// # Reading a verdict
//
//	departures SUCCESS  10.0s    7.1M ops/s  sections 71042545 103262 0 0  held 62488323 444060 0 0  graces 296673, 165376 waited  drains 296673, 125314 woken  late=297937 ...
//
// The two groups of four are the ages, seen in sections and while holding. Of the grace
// periods 165376 found a reader in its section, and of the Destroys 125314 had to be
// woken by a holder. What follows has its explanation in tally.go.
package main
