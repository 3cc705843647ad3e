package pfsyncslices

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}

// Both directions of a conversation are in one slice, and conversations are in both slices.
func TestRight_TheHashHasNoDirection(t *testing.T) {
	w := newWorld(nil, nil)
	defer w.l.Unbind()
	used := map[uint32]bool{}
	for port := range uint16(50) {
		f := flow(conversation(1, port))
		require.Equal(t, w.hasher.Flow(f), w.hasher.Flow(f.Reverse()))
		used[w.hasher.Flow(f)%2] = true
	}
	require.Len(t, used, 2)
}
