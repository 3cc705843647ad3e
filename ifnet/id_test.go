package ifnet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/ifnet"
)

// The name of an interface that is gone is not that of the next one with its index.
func TestID_NamesOneInterface(t *testing.T) {
	gone, next := ifnet.ID{Index: 3, Gen: 1}, ifnet.ID{Index: 3, Gen: 2}
	require.NotEqual(t, gone, next)
	require.NotEqual(t, gone.String(), next.String())
	require.Equal(t, "3.1", gone.String())
	require.True(t, ifnet.ID{}.IsZero())
	require.Equal(t, "none", ifnet.ID{}.String())
	require.False(t, gone.IsZero())
}
