//go:build witness || race

package hook

const leaves = true
