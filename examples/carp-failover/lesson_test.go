package carpfailover

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/carp"
	"github.com/softnet-go/softnet/examples/internal/lesson/lessontest"
	"github.com/softnet-go/softnet/internal/pcap"
)

func TestLesson_WrongBreaksEveryTimeAndRightNever(t *testing.T) {
	lessontest.Check(t, Lesson)
}

// What was sent is what others read: our decoder, and tcpdump.
func TestStory_IsACaptureThatOthersRead(t *testing.T) {
	var buf bytes.Buffer
	require.NoError(t, story(nil, &buf))
	_, ps, err := pcap.ReadAll(bytes.NewReader(buf.Bytes()))
	require.NoError(t, err)
	require.Greater(t, len(ps), 40)
	demoted := 0
	for _, p := range ps {
		d, ok := carp.ParseIP(p.Data)
		require.True(t, ok)
		a, err := carp.Parse(d.Payload)
		require.NoError(t, err)
		if a.Demote > 0 {
			demoted++
		}
	}
	require.Positive(t, demoted, "somebody said that it was unwell")
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	file := filepath.Join(t.TempDir(), "carp.pcap")
	require.NoError(t, os.WriteFile(file, buf.Bytes(), 0o644))
	out, err := exec.Command(tcpdump, "-nr", file, "-T", "carp").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "CARPv2-advertise")
	require.NotContains(t, string(out), "bad")
}
