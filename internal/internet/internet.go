package internet

import (
	_ "embed"
	"net/netip"
)

//go:generate go run ./gen internet.bin

//go:embed internet.bin
var table []byte

// Prefixes returns the table: 901,899 IPv4 prefixes and 160,147 of IPv6, ordered by
// address and then by length, IPv4 first.
func Prefixes() []netip.Prefix {
	ps, err := Decode(table)
	if err != nil {
		panic(err) // a test has decoded it
	}
	return ps
}
