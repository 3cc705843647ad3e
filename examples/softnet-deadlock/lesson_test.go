package softnetdeadlock

import (
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/witness"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}

// A checked build needs no bad luck: the softint has long let go of the lock when the
// interface is destroyed, nothing hangs, and the checker reports the cycle all the same.
func TestWitness_ReportsTheDeadlockOnARunThatDoesNotHang(t *testing.T) {
	needWitness(t)
	synctest.Test(t, func(t *testing.T) {
		v, err := luckyRun((*stack).wrongPurge)
		require.NoError(t, err)
		require.NotNil(t, v, "nothing was reported")
		t.Log(v)
		require.Equal(t, witness.RuleReversal, v.Rule)
		require.Contains(t, v.Error(), "purgeAddress", "where the thread waits")
		require.Contains(t, v.Error(), "tcpInput", "where the softint locks")
		readme, err := os.ReadFile("README.md")
		require.NoError(t, err)
		require.Contains(t, string(readme), "    "+v.Text+"\n", "README.md shows what the checker says")
	})
}

func TestWitness_HasNothingAgainstTheRightOne(t *testing.T) {
	needWitness(t)
	synctest.Test(t, func(t *testing.T) {
		v, err := luckyRun((*stack).rightPurge)
		require.NoError(t, err)
		require.Nil(t, v)
	})
}

func needWitness(t *testing.T) {
	if !witness.Enabled {
		t.Skip("the books are kept under -tags witness and -race")
	}
}

// luckyRun has a segment handled first, and only then the interface destroyed. It
// returns what the checker said about that.
func luckyRun(purge func(*stack, *lwp.LWP) error) (v *witness.Violation, err error) {
	st := newStack(nil, witness.NewClass("softnet_lock"))
	var wg sync.WaitGroup
	wg.Go(st.softintLoop)
	st.in <- "SYN"
	close(st.in)
	wg.Wait()

	l := st.dom.Bind()
	defer l.Unbind()
	defer func() {
		if v, _ = recover().(*witness.Violation); v != nil {
			st.softnetLock.Unlock()
		}
	}()
	return nil, purge(st, l)
}
