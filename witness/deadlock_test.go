package witness_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/witness"
)

// A deadlock takes the whole test binary down, so it happens in a child.
const (
	childEnv = "WITNESS_TEST_DEADLOCK"
	modeEnv  = "WITNESS_TEST_MODE"
)

// deadlocks are two locks and two goroutines each, which meet in the middle.
var deadlocks = map[string]func(){
	"mutex": func() {
		var a, b witness.Mutex
		meet(&a, &b, &a, &b)
	},
	"writers": func() {
		var a, b witness.RWMutex
		meet(&a, &b, &a, &b)
	},
	"readers": func() {
		var a, b witness.RWMutex
		meet(reader{&a}, reader{&b}, &a, &b)
	},
}

// meet has each of two goroutines hold one lock and want the other.
func meet(holdA, holdB, wantA, wantB sync.Locker) {
	var both sync.WaitGroup
	both.Add(2)
	go holdsAWantsB(holdA, wantB, &both)
	holdsBWantsA(holdB, wantA, &both)
}

func holdsAWantsB(a, b sync.Locker, both *sync.WaitGroup) {
	a.Lock()
	both.Done()
	both.Wait()
	b.Lock()
}

func holdsBWantsA(b, a sync.Locker, both *sync.WaitGroup) {
	b.Lock()
	both.Done()
	both.Wait()
	a.Lock()
}

func TestChild(t *testing.T) {
	f := deadlocks[os.Getenv(childEnv)]
	if f == nil {
		t.Skip("it is the child of other tests")
	}
	if os.Getenv(modeEnv) == "off" {
		witness.Default().SetMode(witness.Off)
	}
	synctest.Test(t, func(t *testing.T) { f() })
}

// dies runs a deadlock in a child and returns what it printed when it died of it.
func dies(t *testing.T, name, mode string) string {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestChild$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), childEnv+"="+name, modeEnv+"="+mode)
	start := time.Now()
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Less(t, time.Since(start), 20*time.Second, "that was the timeout, not the bubble")
	require.Contains(t, string(out), "witness_test.holdsAWantsB")
	require.Contains(t, string(out), "witness_test.holdsBWantsA")
	return string(out)
}

// Design, R3: "a deadlock inside a testing/synctest bubble fails at once with every
// stack".
func TestDeadlock_FailsTheBubbleAtOnce(t *testing.T) {
	for name := range deadlocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, dies(t, name, "off"), "deadlock: all goroutines in bubble are blocked")
		})
	}
}

// Checked builds do not let it come to that.
func TestDeadlock_IsReportedBeforeItHappens(t *testing.T) {
	if !witness.Enabled {
		t.Skip("needs the tag witness, or -race")
	}
	for name := range deadlocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Regexp(t, `panic: witness: .* is taken while .* is held, but .* is taken while .* is held`, dies(t, name, "panic"))
		})
	}
}
