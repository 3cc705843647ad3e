package pserializewindow

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/pserialize"
	"github.com/softnet-go/softnet/witness"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}

// The README says that a pserialize.List does not let anybody take the short cut.
func TestList_RefusesTheShortCut(t *testing.T) {
	dom := lwp.NewDomain()
	psz := pserialize.New(dom)
	list := pserialize.NewList(psz, func(rt *route) *pserialize.Entry[route] { return &rt.entry })
	rt := &route{dst: "10.2.0.0/16"}
	list.InsertHead(rt)
	list.Remove(rt)

	require.Equal(t, "pserialize: list: no grace period", rule(t, func() { rt.entry.Init() }))
	require.Equal(t, "pserialize: list: not fresh", rule(t, func() { list.InsertHead(rt) }))

	l := dom.Bind()
	defer l.Unbind()
	require.NoError(t, psz.Perform(context.Background(), l))
	require.Equal(t, "pserialize: list: not fresh", rule(t, func() { list.InsertHead(rt) }))
	rt.entry.Init()
	list.InsertHead(rt)
}

// rule returns which rule do breaks.
func rule(t *testing.T, do func()) (broken string) {
	t.Helper()
	defer func() {
		v, ok := recover().(*witness.Violation)
		require.True(t, ok, "nothing was refused")
		broken = v.Rule
	}()
	do()
	return ""
}
