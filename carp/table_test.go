package carp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A cell is one event in one state: what the state becomes, which timers are armed, what is done.
// The device has base 1, skew 50, and address 10.0.0.100. Sent is written by its interval and
// demotion, "ad 1/50/0"; announcements as "arp"; timers by what is left of them.
type cell struct {
	event string
	do    func(d *Device, now time.Time) []Action
	cells [3]string // INIT, BACKUP, MASTER
}

func step(evs ...Event) func(d *Device, now time.Time) []Action {
	return func(d *Device, now time.Time) (do []Action) {
		for _, ev := range evs {
			do = append(do, d.Step(now, ev)...)
		}
		return do
	}
}

// hear is an advertisement with an interval, and a demotion on each side.
func hear(base, skew, dr, dl uint8, preempt bool) func(d *Device, now time.Time) []Action {
	return func(d *Device, now time.Time) []Action {
		d.cfg.Preempt = preempt
		d.parent.groups.Set("carp", int(dl))
		return d.Step(now, Heard{V4, Advert{Version: Version, VHID: 1, AdvBase: base, AdvSkew: skew, Demote: dr}})
	}
}

const (
	backup  = "BACKUP md=3.195312s"                                               // waits anew
	stays   = "BACKUP md=2.195312s"                                               // goes on waiting
	master  = "MASTER ad=1.195312s"                                               // of a while
	take    = "BACKUP -> MASTER, ad 1/50/%d, arp 10.0.0.100, MASTER ad=1.195312s" // takes over
	yields  = "MASTER -> BACKUP, BACKUP md=3.195312s"                             //
	keeps   = "MASTER ad=195.312ms"                                               //
	restart = "%s -> INIT, INIT -> BACKUP, BACKUP md=3.195312s"                   //
)

var cells = []cell{
	{"better advert", hear(1, 0, 0, 0, false), [3]string{"INIT", backup, yields}},
	{"equal advert", hear(1, 50, 0, 0, false), [3]string{"INIT", backup, yields}},
	{"worse advert", hear(1, 51, 0, 0, false), [3]string{"INIT", backup, keeps}},
	{"slower base, smaller skew", hear(2, 0, 0, 0, false), [3]string{"INIT", backup, keeps}},
	{"better, more demoted", hear(1, 0, 1, 0, false), [3]string{"INIT", fmt.Sprintf(take, 0), keeps}},
	{"better, less demoted", hear(1, 0, 0, 1, false), [3]string{"INIT", backup, yields}},
	{"worse, less demoted", hear(1, 51, 0, 1, false), [3]string{"INIT", backup, yields}},
	{"worse, demoted alike", hear(1, 51, 7, 7, false), [3]string{"INIT", backup, keeps}},
	{"equal, demoted alike", hear(1, 50, 7, 7, false), [3]string{"INIT", backup, yields}},
	{"B1 worse, preempting", hear(1, 51, 0, 0, true), [3]string{"INIT", fmt.Sprintf(take, 0), keeps}},
	{"B1 equal, preempting", hear(1, 50, 0, 0, true), [3]string{"INIT", backup, yields}},
	{"B1 worse, preempting, but more demoted", hear(1, 51, 0, 1, true), [3]string{"INIT", backup, yields}},
	{"B1 worse, preempting, demoted alike", hear(1, 51, 2, 2, true), [3]string{"INIT", fmt.Sprintf(take, 2), keeps}},
	{"B2 worse and more demoted", hear(1, 51, 3, 2, false), [3]string{"INIT", fmt.Sprintf(take, 2), keeps}},
	{"B3 three bases, equal skew", hear(3, 50, 0, 0, false), [3]string{"INIT", backup, keeps}},
	{"B3 three bases, more skew", hear(3, 51, 0, 0, false), [3]string{"INIT", fmt.Sprintf(take, 0), keeps}},
	{"B3 bow-out", hear(255, 255, 0, 0, false), [3]string{"INIT", fmt.Sprintf(take, 0), keeps}},
	{"time passes", step(Tick{}), [3]string{"INIT", stays, keeps}},
	{"advertise", step(Advertise{}), [3]string{"INIT", stays, "ad 1/50/0, MASTER ad=1.195312s"}},
	{"up", step(Up{}), [3]string{"INIT -> BACKUP, " + backup, stays, keeps}},
	{"down", step(Down{}), [3]string{"INIT", "BACKUP -> INIT, INIT", "ad 255/255/0, MASTER -> INIT, INIT"}},
	{"link down", step(LinkDown{}), [3]string{"demoted +1 all, INIT", "BACKUP -> INIT, demoted +1 all, INIT", "MASTER -> INIT, demoted +1 all, INIT"}},
	{"link down twice", step(LinkDown{}, LinkDown{}), [3]string{"demoted +1 all, INIT", "BACKUP -> INIT, demoted +1 all, INIT", "MASTER -> INIT, demoted +1 all, INIT"}},
	{"link up that was", step(LinkUp{}), [3]string{"INIT", stays, keeps}},
	{"link flaps", step(LinkDown{}, LinkUp{}), [3]string{
		"demoted +1 all, demoted -1, INIT",
		"BACKUP -> INIT, demoted +1 all, INIT -> BACKUP, demoted -1, " + backup,
		"MASTER -> INIT, demoted +1 all, INIT -> BACKUP, demoted -1, " + backup,
	}},
	{"address added", step(AddAddr{vip2}), [3]string{
		"INIT -> BACKUP, " + backup, fmt.Sprintf(restart, "BACKUP"), fmt.Sprintf(restart, "MASTER"),
	}},
	{"address that is there added", step(AddAddr{vip}), [3]string{"INIT", stays, keeps}},
	{"address removed that was not there", step(RemoveAddr{vip2}), [3]string{"INIT", stays, keeps}},
	{"last address removed", step(RemoveAddr{vip}), [3]string{"INIT", "BACKUP -> INIT, INIT", "MASTER -> INIT, INIT"}},
	{"forced backup", step(Force{Backup}), [3]string{"INIT", stays, yields}},
	{"forced master", step(Force{Master}), [3]string{"INIT", fmt.Sprintf(take, 0), keeps}},
	{"skew changed", configure(Node{1, 50}, "other"), [3]string{"INIT", backup, master}},
	{"vhid changed", configure(Node{2, 50}, "secret"), [3]string{
		"INIT", fmt.Sprintf(restart, "BACKUP"), fmt.Sprintf(restart, "MASTER"),
	}},
	{"detached", step(Detach{}), [3]string{"INIT", "BACKUP -> INIT, INIT", "MASTER -> INIT, INIT"}},
	{"detached without link", step(LinkDown{}, Detach{}), [3]string{
		"demoted +1 all, demoted -1, INIT", "BACKUP -> INIT, demoted +1 all, demoted -1, INIT", "MASTER -> INIT, demoted +1 all, demoted -1, INIT",
	}},
}

func configure(n Node, password string) func(d *Device, now time.Time) []Action {
	return func(d *Device, now time.Time) []Action {
		do, err := d.Configure(now, Config{Nodes: []Node{n}, AdvBase: 1, Password: password})
		if err != nil {
			panic(err)
		}
		return do
	}
}

// in makes a device that has been in a state for a second.
func in(t *testing.T, s State) (*Device, time.Time) {
	d, err := NewParent(ParentConfig{}).Add(one(50))
	require.NoError(t, err)
	d.Step(t0, AddAddr{vip})
	switch s {
	case Init:
		d.Step(t0, Down{})
	case Master:
		d.Step(t0, Force{Master})
	}
	require.Equal(t, s, d.State())
	return d, t0.Add(time.Second)
}

func describe(d *Device, now time.Time, do []Action) string {
	var s []string
	for _, a := range do {
		switch a := a.(type) {
		case Transition:
			s = append(s, fmt.Sprintf("%v -> %v", a.From, a.To))
		case Send:
			s = append(s, fmt.Sprintf("ad %d/%d/%d", a.Advert.AdvBase, a.Advert.AdvSkew, a.Advert.Demote))
		case Announce:
			s = append(s, "arp "+a.Addr.String())
		case Demoted:
			all := ""
			if a.All {
				all = " all"
			}
			s = append(s, fmt.Sprintf("demoted %+d%s", a.By, all))
		}
	}
	v := d.vhosts[0]
	end := v.state.String()
	for _, timer := range []struct {
		name string
		at   time.Time
	}{{"ad", v.adAt}, {"md", v.mdAt}, {"md6", v.md6At}} {
		if !timer.at.IsZero() {
			end += fmt.Sprintf(" %s=%v", timer.name, timer.at.Sub(now))
		}
	}
	return strings.Join(append(s, end), ", ")
}

func TestTable_EveryCell(t *testing.T) {
	for _, c := range cells {
		for s, want := range c.cells {
			t.Run(c.event+"/"+State(s).String(), func(t *testing.T) {
				d, now := in(t, State(s))
				require.Equal(t, want, describe(d, now, c.do(d, now)))
			})
		}
	}
}

// A timer fires at its time and not a microsecond before, whatever the state.
func TestTable_TimersFireWhenDue(t *testing.T) {
	for s, want := range map[State]string{
		Backup: fmt.Sprintf(take, 0),
		Master: "ad 1/50/0, MASTER ad=1.195312s",
	} {
		d, _ := in(t, s)
		at := d.Next()
		require.Equal(t, describe(d, at, nil), describe(d, at, d.Step(at.Add(-us), Tick{})))
		require.Equal(t, want, describe(d, at, d.Step(at, Tick{})))
	}
	d, _ := in(t, Init)
	require.True(t, d.Next().IsZero())
}
