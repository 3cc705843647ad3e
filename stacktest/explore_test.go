package stacktest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// Handlers that nothing is wrong with hold in every schedule.
func TestExplore_RightHandlersHold(t *testing.T) {
	for name, c := range map[string]stacktest.Config{
		"echo":    subject(always(echo)),
		"forward": softint(forward),
		"sender":  sends(nil),
		"keeper":  keeps(true),
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range stacktest.Explore(t, sched.Options{}, c) {
				require.True(t, r.Exhausted || r.Mode == sched.Stress, r)
			}
		})
	}
}
