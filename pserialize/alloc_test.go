package pserialize_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/witness"
)

// "ReadEnter never blocks and allocates nothing", nor does walking a list inside, nor a
// Perform that finds nobody to wait for.
func TestReader_AllocatesNothing(t *testing.T) {
	if invariants.Enabled || witness.Enabled {
		t.Skip("checked builds keep books, which grow")
	}
	type element struct{ pserialize.Entry[element] }
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	list := pserialize.NewList(psz, func(e *element) *pserialize.Entry[element] { return &e.Entry })
	for range 3 {
		list.InsertHead(new(element))
	}
	l, s := dom.Bind(), dom.BindSoftint("s")
	for name, f := range map[string]func(){
		"a thread's section":  func() { psz.ReadEnter(l).Exit() },
		"a softint's section": func() { psz.ReadEnter(s).Exit() },
		"nested sections": func() {
			outer := psz.ReadEnter(l)
			psz.ReadEnter(l).Exit()
			outer.Exit()
		},
		"a walk": func() {
			in, n := psz.ReadEnter(l), 0
			for range list.All(in) {
				n++
			}
			in.Exit()
			require.Equal(t, 3, n)
		},
		"a grace period nobody delays": func() {
			s.Offline()
			require.NoError(t, psz.Perform(context.Background(), l))
			s.Online()
		},
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}
