// Package mbuf is what is carried: packets, and the names of the interfaces they came by
// and leave by.
package mbuf
