package main

import (
	"sync/atomic"

	"github.com/softnet-go/softnet/internal/hook"
)

// A slot is a word, with its line and the next, that belongs to one goroutine of a probe.
type slot struct {
	v   atomic.Uint64
	sum int // what it found, so that the compiler must let it look
	_   [hook.LineBytes - 16]byte
}

// pair is how many goroutines a probe runs at most.
const pair = 2

var own [pair]slot

// exchange is X, the unit of the targets.
var exchange = on(1, "X", func() body { return swap })

func swap(id, n int) {
	for range n {
		own[id].v.Swap(1)
	}
}
