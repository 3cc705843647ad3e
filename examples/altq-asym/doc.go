// Package altqasym is the lesson about a lock that belongs to a path, and not to what it guards.
package altqasym
