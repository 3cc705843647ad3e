//go:build !witness && !race

package hook

const leaves = false
