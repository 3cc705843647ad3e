//go:build sched

package hook

// Pause is a choice point between two plain reads of memory that a protocol must keep
// from being used again meanwhile.
func Pause() { Point(OpUser, nil) }
