// Package publishedorders is the lesson about orders: who sets a flag, takes a turn, drops
// a reference or waits first, and which schedule minds.
//
// The protocols are NetBSD's, reduced to steps in update.go, unref.go and unlink.go, on the
// words of stacktest/sched. An order is a list of such steps; wrong.go and right.go have
// nothing else. stage.go plays one schedule of an order on real goroutines, and
// explore_test.go plays them all.
package publishedorders
