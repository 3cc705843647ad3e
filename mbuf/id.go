package mbuf

import "fmt"

// An IfID names an interface for as long as it lives, and nothing afterwards: its index, and
// the generation of that index, so that the name of an interface that is gone is not the name
// of the next one with its index. The zero IfID names none; 0 is no interface's index. Package
// ifnet, which gives them out, calls it ifnet.ID.
type IfID struct{ Index, Gen uint32 }

// IsZero reports whether id names no interface.
func (id IfID) IsZero() bool { return id == IfID{} }

// String returns "3.1", the index and the generation, or "none".
func (id IfID) String() string {
	if id.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%d.%d", id.Index, id.Gen)
}
