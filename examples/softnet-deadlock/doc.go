// Package softnetdeadlock is the lesson about waiting for everybody while holding what
// somebody wants.
package softnetdeadlock
