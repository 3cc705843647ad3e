// Package rtfreedefer is the lesson about who frees a route: a softint may delete it, and may not
// wait for those who hold it.
package rtfreedefer
