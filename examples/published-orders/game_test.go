package publishedorders

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A learner who plays the script breaks each wrong order within par.
func TestGames_TheScriptBreaksTheWrongOnesWithinPar(t *testing.T) {
	for i, sc := range wrongOrders {
		synctest.Test(t, func(t *testing.T) {
			g := Lesson.Games[i]
			require.Equal(t, sc.name, g.Name)
			script, steps := sc.script, 0
			broken := g.Play(nil, func(who []string) string {
				steps++
				for script != "" { // a call of who waits is in vain
					want := script[:1]
					script = script[1:]
					for _, w := range who {
						if w[:1] == want {
							return w
						}
					}
				}
				return who[0]
			})
			require.Error(t, broken, g.Name)
			require.LessOrEqual(t, steps, g.Par)
		})
	}
}

// Nobody breaks a right one, whoever they let go on.
func TestGames_NobodyBreaksTheRightOnes(t *testing.T) {
	for _, g := range Lesson.Games[len(wrongOrders):] {
		require.Zero(t, g.Par)
		rapid.Check(t, func(t *rapid.T) {
			rapid.SyncTest(t, func(t *rapid.T) {
				require.NoError(t, g.Play(nil, func(who []string) string { return rapid.SampledFrom(who).Draw(t, "who") }))
			})
		})
	}
}

func TestGames_CanBeGivenUp(t *testing.T) {
	for _, g := range Lesson.Games {
		synctest.Test(t, func(t *testing.T) {
			require.NoError(t, g.Play(nil, func([]string) string { return "" }))
		})
	}
}
