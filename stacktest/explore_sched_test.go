//go:build sched

package stacktest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/mbuf"
	"github.com/softnet-go/softnet/stacktest"
	"github.com/softnet-go/softnet/stacktest/sched"
	"github.com/softnet-go/softnet/wqinput"
)

// counts makes a handler that counts its packets: by looking, adding one, and writing.
func counts() stacktest.Config {
	return stacktest.Config{New: func(*stacktest.Stack) stacktest.Subject {
		var count, handled sched.Int64
		return stacktest.Subject{
			Name: "subject",
			Input: func(_ context.Context, in *wqinput.Input) {
				handled.Add(1)
				count.Store(count.Load() + 1)
				in.Packet.Free(mbuf.Done)
			},
			Check: func() error {
				if h, c := handled.Load(), count.Load(); h != c {
					return fmt.Errorf("counts %d of %d packets", c, h)
				}
				return nil
			},
		}
	}}
}

// Handlers that only some schedule breaks, and what it is called that breaks them.
var scheduleCrimes = map[string]struct {
	config        stacktest.Config
	scene, charge string
}{
	"counts without a lock":                {counts(), "two_streams", `counts \d of 3 packets`},
	"looks before, and not where it keeps": {keeps(false), "departure", `has a packet of interface 1\.1 after its Detach has returned`},
}

// TestScheduleCrime is run by TestExplore_CrimesOfOneSchedule, in a process of its own, because it fails.
func TestScheduleCrime(t *testing.T) {
	c, ok := scheduleCrimes[os.Getenv(crimeVar)]
	if !ok {
		t.Skip("for TestExplore_CrimesOfOneSchedule")
	}
	stacktest.Explore(t, sched.Options{Preemptions: 1}, c.config)
}

// What the property test does not find in its schedules, because they are too few, is found in one of all.
func TestExplore_CrimesOfOneSchedule(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	for name, c := range scheduleCrimes {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestScheduleCrime$/"+c.scene)
			cmd.Env = append(os.Environ(), crimeVar+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "not convicted:\n%s", out)
			require.Regexp(t, regexp.MustCompile("assertion: handler subject "+c.charge), string(out))
			require.Regexp(t, `schedule \w+: preemptions 1`, string(out), "the simplest schedule")
			require.Contains(t, string(out), "SOFTNET_REPLAY=")
		})
	}
}
