// Package rtupdate is the lesson about changing a route under those who use it: a lock keeps
// writers apart, and only waiting for readers keeps what they read whole.
package rtupdate
