package million

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Fewer, in virtual time.
func TestRun_BothAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		require.Zero(t, run(context.Background(), []string{"-states", "5000", "-burst", "4"}, &out, &errs), "%s%s", &out, &errs)
		require.Contains(t, out.String(), "both agree about each of 5000 states")
	})
}

func TestRun_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var out bytes.Buffer
		require.Equal(t, 1, run(ctx, []string{"-states", "1000", "-burst", "1"}, &out, &out))
	})
}

func TestRun_Arguments(t *testing.T) {
	var out bytes.Buffer
	for _, args := range [][]string{{"-states", "0"}, {"-burst", "0"}, {"x"}, {"-frob"}} {
		require.Equal(t, 2, run(context.Background(), args, &out, &out))
	}
	require.Zero(t, run(context.Background(), []string{"-h"}, &out, &out))
}
