package ifnet

import "github.com/softnet-go/softnet/mbuf"

// An ID names an interface for as long as it lives, and nothing afterwards: see [mbuf.IfID].
type ID = mbuf.IfID
