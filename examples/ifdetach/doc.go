// Package ifdetach is the lesson about the order in which an interface is taken away.
package ifdetach
