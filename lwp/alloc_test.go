package lwp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/witness"
)

// "Bind allocates nothing while as many LWPs have been in use at once before", and what
// an LWP does for every packet never does.
func TestOwner_AllocatesNothing(t *testing.T) {
	if invariants.Enabled || witness.Enabled {
		t.Skip("checked builds keep books, which grow")
	}
	d := lwp.NewDomain()
	l, s := d.Bind(), d.BindSoftint("s")
	count := lwp.NewLocal[int](d)
	for name, f := range map[string]func(){
		"bind a thread":     func() { d.Bind().Unbind() },
		"bind a softint":    func() { d.BindSoftint("netisr0").Unbind() },
		"bind two":          func() { a, b := d.Bind(), d.Bind(); a.Unbind(); b.Unbind() },
		"checkpoint":        s.Checkpoint,
		"offline, online":   func() { s.Offline(); s.Online() },
		"a thread's local":  func() { *count.Get(l)++ },
		"a softint's local": func() { *count.Get(s)++ },
	} {
		f() // the first time may
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}
