//go:build sched

package hook

import "unsafe"

var pause = "read on" // as a schedule that fails shows it

// Pause is a choice point between two plain reads of memory that a protocol must keep
// from being used again meanwhile.
func Pause() { Point(OpUser, unsafe.Pointer(&pause)) }
