//go:build sched

package sched_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/stacktest/sched"
)

// The rooms themselves are explored in their own tests; this one shows that the code that
// ships can be: a target is destroyed while a thread and a softint take references.
func TestExplore_DrivesTheRealCode(t *testing.T) {
	type resource struct {
		psref.Target
		gone sched.Bool
	}
	scenario := func(forgets bool) func(*sched.S) {
		return func(s *sched.S) {
			dom := lwp.NewDomain()
			class := psref.NewClass(dom, "resource")
			var res resource
			class.Init(&res.Target)
			hold := func(l *lwp.LWP, forget bool) {
				var ref psref.Ref
				if class.Acquire(l, &ref, &res.Target) {
					s.Assert(!res.gone.Load(), "held and destroyed")
					if !forget {
						ref.Release(l)
					}
				}
			}
			thread, softint, destroyer := dom.Bind(), dom.BindSoftint("softint"), dom.Bind()
			s.Go("thread", func() { hold(thread, forgets) })
			s.Go("softint", func() {
				hold(softint, false)
				softint.Offline()
			})
			s.Go("destroyer", func() {
				s.Assert(res.Destroy(s.Context(), destroyer) == nil, "nothing ends the wait but the holders")
				res.gone.Store(true)
			})
		}
	}
	r := sched.Explore(t, sched.Options{Preemptions: 1}, scenario(false))
	require.True(t, r.Exhausted)

	f := sched.Run(sched.Options{}, scenario(true)).Failure
	require.NotNil(t, f)
	require.Equal(t, sched.Deadlock, f.Kind)
	require.Contains(t, f.Text, "destroyer sleeps on")
}
