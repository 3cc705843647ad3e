// Package rtcacheowner is the lesson about who owns a cache: it has room for one reference, so
// it is for one user at a time.
package rtcacheowner
