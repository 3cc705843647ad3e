// Package million is two firewalls of which one has a million states, and the other has just come: how long
// until it knows them, and what do they take?
package million
