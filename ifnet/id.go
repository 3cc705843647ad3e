package ifnet

import "github.com/softnet-go/softnet/mbuf"

// An ID names an interface for as long as it lives, and nothing afterwards: its index, and
// the generation of that index, so that the name of an interface that is gone is not the name
// of the next one with its index. The zero ID names none; 0 is no interface's index. Packets
// carry IDs, so the type is theirs.
type ID = mbuf.IfID
