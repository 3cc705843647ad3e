// Package seedcache is how routes were cached before package rtcache: with a lock for all
// caches, rtcache_lock, outside of the table's, and a list of them all. A cache is asked, and
// may be filled, under the caches' lock for reading; whoever changes the table takes it for
// writing and tells every cache that it is not valid any more.
//
// It is here to be compared with, and has what that needs. The lesson lock-order is about its
// two locks.
package seedcache
