// Package carpfailover is the lesson about who should have an address: the best of those who can do
// anything with it.
package carpfailover
