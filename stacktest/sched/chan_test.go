package sched_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/stacktest/sched"
)

// Both builds' channels keep the promises of Go's, for goroutines that are no actors.
func TestChan_IsAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{0, 1, 3} {
			c := sched.NewChan[int](size)
			go func() {
				for i := range 10 {
					c.Send(i)
				}
				c.Close()
			}()
			synctest.Wait()
			for i := range 10 {
				v, ok := c.Recv()
				require.True(t, ok)
				require.Equal(t, i, v)
			}
			_, ok := c.Recv()
			require.False(t, ok)
			require.Panics(t, func() { c.Send(1) })
			require.Panics(t, func() { c.TrySend(1) })
			require.Panics(t, c.Close)
		}
	})
}

func TestChan_WaitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sched.NewChan[int](0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.SendContext(ctx, 1), context.DeadlineExceeded)
		_, ok, err := c.RecvContext(ctx)
		require.False(t, ok)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, c.TrySend(1), "nobody receives")

		go c.Send(2)
		synctest.Wait()
		v, ok, err := c.RecvContext(t.Context())
		require.Equal(t, 2, v, "what was not sent is not received")
		require.True(t, ok)
		require.NoError(t, err)

		go func() { require.NoError(t, c.SendContext(t.Context(), 3)) }()
		v, ok = c.Recv()
		require.Equal(t, 3, v)
		require.True(t, ok)
	})
}

func TestChan_TrySendHandsToWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sched.NewChan[int](0)
		go func() {
			v, ok := c.Recv()
			require.Equal(t, 7, v)
			require.True(t, ok)
		}()
		synctest.Wait()
		require.True(t, c.TrySend(7))
		require.False(t, c.TrySend(8))

		c = sched.NewChan[int](1)
		require.True(t, c.TrySend(1))
		require.False(t, c.TrySend(2))
	})
}

func TestChan_CloseWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sched.NewChan[int](0)
		go func() {
			_, ok := c.Recv()
			require.False(t, ok)
		}()
		synctest.Wait()
		c.Close()

		c = sched.NewChan[int](0)
		go func() { require.Panics(t, func() { c.Send(1) }) }()
		synctest.Wait()
		c.Close()
	})
}
