package psref_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
	"github.com/softnet-go/softnet/witness"
)

// "Acquire never blocks and allocates nothing, except that an LWP which holds more than
// sixteen references at once grows": once, as the twenty at a time show.
func TestHolder_AllocatesNothing(t *testing.T) {
	if invariants.Enabled || witness.Enabled {
		t.Skip("checked builds keep books, which grow")
	}
	st := newStack()
	x, gone := st.thing(), st.thing()
	thread := st.dom.Bind()
	require.NoError(t, gone.target.Destroy(context.Background(), thread))
	var refs [20]psref.Ref
	for kind, l := range map[string]*lwp.LWP{"thread": thread, "softint": st.dom.BindSoftint("s")} {
		for name, f := range map[string]func(){
			"acquire, release": func() {
				require.True(t, st.class.Acquire(l, &refs[0], &x.target))
				refs[0].Release(l)
			},
			"copied, released in any order": func() {
				st.class.Acquire(l, &refs[0], &x.target)
				refs[0].Copy(l, &refs[1])
				refs[0].Release(l)
				refs[1].Release(l)
			},
			"refused": func() {
				require.False(t, st.class.Acquire(l, &refs[0], &gone.target))
			},
			"twenty at a time": func() {
				for i := range refs {
					st.class.Acquire(l, &refs[i], &x.target)
				}
				require.True(t, x.target.Held(l))
				for i := range refs {
					refs[i].Release(l)
				}
			},
		} {
			f() // the first time may
			require.Zero(t, testing.AllocsPerRun(100, f), "%s: %s", kind, name)
		}
	}
}

// A Destroy that finds no holder allocates nothing either: targets come and go.
func TestDestroy_OfWhatNobodyHoldsAllocatesNothing(t *testing.T) {
	if invariants.Enabled || witness.Enabled {
		t.Skip("checked builds keep books, which grow")
	}
	st := newStack()
	l, x := st.dom.Bind(), new(thing)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		st.class.Init(&x.target)
		require.NoError(t, x.target.Destroy(context.Background(), l))
	}))
}
