package witness

// The rules, as they stand in [Violation.Rule].
const (
	RuleReversal      = "witness: order reversal"      // a cycle of what is waited for while what is held
	RuleContradiction = "witness: contradictory order" // Order says the opposite of what is known
	RuleTwoOfClass    = "witness: two of one class"    // nested, and nobody said in which order
	RuleRecursion     = "witness: recursion"           // locking against myself
	RuleRecursiveRead = "witness: recursive read"      // a writer in between would stop both
	RuleUpgrade       = "witness: upgrade"             // from reading to writing, without letting go
	RuleNotHeld       = "witness: not held"            // unlocked or asserted by somebody else
	RuleHeld          = "witness: held"                // where it must not be
	RuleNotLocked     = "witness: not locked"          // unlocked, and nobody holds it
	RuleInUse         = "witness: in use"              // initialised while locked
	RuleNoSleep       = "witness: may not sleep"       // inside a level of trait NoSleep
	RuleNoLock        = "witness: may not lock"        // inside a level of trait NoLock
	RuleLeaf          = "witness: leaf held"           // while locking, sleeping or waiting
	RuleSelfWait      = "witness: waiting for itself"  // for a level, inside of it
	RuleNotInside     = "witness: exit from outside"   // of a level
)
