// Package yourownhandler is the lesson about a handler that looks right, and a test that disagrees.
package yourownhandler
