package carp

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/softnet-go/softnet/mbuf"
)

var errNoBufs = mbuf.ErrNoBufs

const us = time.Microsecond

// log requires that these transitions have happened, "3s A: BACKUP -> MASTER", and forgets them.
func (l *lan) log(t *testing.T, want ...string) {
	t.Helper()
	require.Equal(t, strings.Join(want, "\n"), strings.Join(l.events, "\n"))
	l.forget()
}

// pair is A, preferred, and B, skew 100; both have just been elected and A advertised at 3 s.
func pair(t *testing.T, with ...func(*Config)) (l *lan, a, b *host) {
	l = newLAN(t)
	a, b = l.host("A", one(0, with...)), l.host("B", one(100, with...))
	l.until(3 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
	l.forget()
	return l, a, b
}

func TestScenario01_AloneOneListensFirst(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(0))
	l.until(2999999 * us)
	require.Empty(t, a.sent)
	l.until(3 * time.Second)
	require.Len(t, a.sent, 1)
	l.until(3999999 * us)
	require.Len(t, a.sent, 1)
	l.until(4 * time.Second)
	require.Len(t, a.sent, 2)
	l.log(t, "0s A: INIT -> BACKUP", "3s A: BACKUP -> MASTER")
}

func TestScenario02_SkewDelaysElectionAndAdverts(t *testing.T) {
	for formula, takes := range map[MasterDown]time.Duration{Classic: 3390625 * us, Scaled: 4171875 * us} {
		l := newLAN(t)
		a := l.host("A", one(100, func(c *Config) { c.MasterDown = formula }))
		l.until(takes - us)
		require.Empty(t, a.sent)
		l.until(takes + 1390625*us - us)
		require.Len(t, a.sent, 1)
		l.until(takes + 1390625*us)
		require.Len(t, a.sent, 2)
	}
}

func TestScenario03_TheBetterOfTwoIsElected(t *testing.T) {
	l := newLAN(t)
	l.host("A", one(0))
	b := l.host("B", one(100))
	l.until(10 * time.Second)
	require.Equal(t, l.start.Add(13390625*us), b.d().Next(), "each advertisement re-arms the timer")
	require.Empty(t, b.sent, "a backup never sends")
	l.log(t, "0s A: INIT -> BACKUP", "0s B: INIT -> BACKUP", "3s A: BACKUP -> MASTER")
}

func TestScenario04_SilenceIsTakenOver(t *testing.T) {
	l, a, b := pair(t)
	a.dead = true
	l.until(time.Minute)
	l.log(t, "6.390625s B: BACKUP -> MASTER")
	require.Equal(t, Master, b.state())
}

func TestScenario05_WithoutPreemptionWhoReturnsStaysBackup(t *testing.T) {
	l, a, b := pair(t)
	a.say(Down{})
	l.until(5 * time.Second)
	a.say(Up{})
	l.until(time.Hour)
	require.Equal(t, []State{Backup, Master}, []State{a.state(), b.state()})
}

func TestScenario06_WithPreemptionItTakesOverAtTheNextAdvert(t *testing.T) {
	l, a, _ := pair(t, preempt)
	a.dead = true
	l.until(6500 * time.Millisecond)
	l.forget()
	a.dead = false
	a.say(Down{}) // it restarts
	a.say(Up{})
	l.forget()
	l.until(20 * time.Second)
	l.log(t, "7.78125s A: BACKUP -> MASTER", "7.78125s B: MASTER -> BACKUP")
}

func TestScenario07_PreemptionOfTheWorseChangesNothing(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100, preempt))
	l.until(time.Minute)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
}

func TestScenario08_OfTwoEqualMastersTheFirstToHearYields(t *testing.T) {
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(0))
	b.island = 1
	l.until(10500 * time.Millisecond)
	require.Equal(t, []State{Master, Master}, []State{a.state(), b.state()})
	l.forget()
	b.island = 0
	l.until(time.Minute)
	l.log(t, "11s B: MASTER -> BACKUP")
	require.Equal(t, Master, a.state())

	// If their advertisements cross, both yield, and the next timeout decides.
	l = newLAN(t)
	a, b = l.host("A", one(0)), l.host("B", one(0))
	a.say(Force{Master})
	b.step(b.d(), Force{Master})
	a.step(a.d(), Advertise{})
	l.deliver()
	require.Equal(t, []State{Backup, Backup}, []State{a.state(), b.state()})
	l.until(4 * time.Second)
	require.Equal(t, []State{Master, Backup}, []State{a.state(), b.state()})
}

func TestScenario09_ABowOutIsTakenAtOnce(t *testing.T) {
	l, a, b := pair(t)
	l.until(3500 * time.Millisecond)
	a.say(Down{})
	require.Equal(t, []string{"3.5s A: MASTER -> INIT", "3.5s B: BACKUP -> MASTER"}, l.events)
	require.Len(t, a.sent, 1)
	require.True(t, a.sent[0].IsBowOut())
	require.Equal(t, Master, b.state())
	l.until(time.Minute)
	require.Len(t, a.sent, 1, "and nothing after it")
}

func TestScenario10_ABowOutIsNoNewsToASlowBackup(t *testing.T) {
	for base, at := range map[uint8]bool{85: true, 86: false} {
		l := newLAN(t)
		a, b := l.host("A", one(0)), l.host("B", one(100, func(c *Config) { c.AdvBase = base }))
		l.until(10 * time.Second)
		a.say(Down{})
		require.Equal(t, at, b.state() == Master)
		l.until(10*time.Second + Classic.Interval(base, 100) - us)
		require.Equal(t, at, b.state() == Master)
		l.until(10*time.Second + Classic.Interval(base, 100))
		require.Equal(t, Master, b.state())
	}
	require.Equal(t, 258390625*us, Classic.Interval(86, 100))
	l := newLAN(t)
	a, b := l.host("A", one(0)), l.host("B", one(100, preempt, func(c *Config) { c.AdvBase = 86 }))
	l.until(10 * time.Second)
	a.say(Down{})
	require.Equal(t, Master, b.state(), "unless it preempts")
}

func TestScenario11_ABowOutIsNoNewsToASubsecondBackup(t *testing.T) {
	l := newLAN(t)
	a := l.host("A", one(10, func(c *Config) { c.AdvBase = 0 }))
	b := l.host("B", one(100, func(c *Config) { c.AdvBase = 0 }))
	l.until(10 * time.Second)
	require.Equal(t, Backup, b.state())
	a.say(Down{})
	require.Equal(t, Backup, b.state())
	l.until(10*time.Second + 1171875*us - us)
	require.Equal(t, Backup, b.state())
	l.until(10*time.Second + 1171875*us)
	require.Equal(t, Master, b.state())
}

func TestScenario12_ABackupLeavesInSilence(t *testing.T) {
	l, _, b := pair(t)
	b.say(Down{})
	l.until(time.Minute)
	require.Empty(t, b.sent)
	require.Equal(t, Init, b.state())
}
