package carp

import (
	"fmt"
	"time"
)

// bowOut, as interval and skew, says that the sender leaves.
const bowOut = 255

// skew returns x/256 s in whole microseconds, rounded down as the kernels do: that two nodes are
// equal must not hang on a fraction of one.
func skew(x uint8) time.Duration { return time.Duration(int(x)*1_000_000/256) * time.Microsecond }

// interval returns the pair of an advertisement as one length of time. The kernels compare seconds
// first and then microseconds, of which there is less than a second: it is the same order.
func interval(base, skewed uint8) time.Duration {
	return time.Duration(base)*time.Second + skew(skewed)
}

// least is the interval of a node that has neither base nor skew.
const least = 3906 * time.Microsecond

// AdvInterval returns the time between two advertisements of a master.
func AdvInterval(base, skewed uint8) time.Duration {
	return max(interval(base, skewed), least)
}

// A MasterDown is a formula: how long a backup waits for an advertisement before it takes over.
//
// All nodes of a group should use the same. In a mixed group the order in which backups take over
// is not that of their intervals: with the short formula a node is first whenever its skew is
// less than three times that of a node with the long one, and then, without preemption, the
// better one stays backup for good.
type MasterDown uint8

const (
	// Classic is 3·base + skew: FreeBSD, NetBSD, ucarp, and OpenBSD until 2025.
	Classic MasterDown = iota
	// Scaled is 3·(base + skew): OpenBSD since ip_carp.c 1.368.
	Scaled
)

// String returns the formula's name.
func (m MasterDown) String() string {
	switch m {
	case Classic:
		return "classic"
	case Scaled:
		return "scaled"
	}
	return fmt.Sprintf("MasterDown(%d)", uint8(m))
}

// Interval returns how long a backup with this base (seconds) and skew (1/256 s) waits. A base of
// 0 makes both formulas triple the skew.
func (m MasterDown) Interval(base, skewed uint8) time.Duration {
	tripled := time.Duration(3*int(skewed)*1_000_000/256) * time.Microsecond
	switch {
	case base == 0 && skewed == 0:
		return 3 * least
	case base == 0 || m == Scaled:
		return 3*time.Duration(base)*time.Second + tripled
	}
	return 3*time.Duration(base)*time.Second + skew(skewed)
}
