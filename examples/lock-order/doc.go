// Package lockorder is the lesson about an order of locks that nobody has kept and nobody has
// been hurt by, yet.
package lockorder
