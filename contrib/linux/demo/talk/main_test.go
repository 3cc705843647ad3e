package main

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// A TCP connection of the kernel's goes through two firewalls of ours, in network namespaces. The master is
// killed with SIGKILL and comes back: the connection goes on, and no line is lost.
func TestFailover_AConnectionOfTheKernelsGoesOn(t *testing.T) {
	out, err := exec.Command("bash", "../failover.sh").CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("%s", out)
	}
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "came back over one connection")
	t.Logf("%s", out)
}
