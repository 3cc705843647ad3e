package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/softnet-go/softnet/carp"
)

// A status is what there is to know about the daemon.
type status struct {
	Interface   string       `json:"interface"`
	VHID        uint8        `json:"vhid"`
	State       string       `json:"state"`
	Link        bool         `json:"link"`
	Addrs       []netip.Addr `json:"addrs"`
	AdvBase     uint8        `json:"advbase"`
	AdvSkew     uint8        `json:"advskew"`
	MasterDown  string       `json:"masterdown"`
	Preempt     bool         `json:"preempt"`
	Demotion    uint8        `json:"demotion"`
	Stats       carp.Stats   `json:"stats"`
	Transitions []transition `json:"transitions"`
}

func (d *daemon) status() *status {
	c := d.dev.Config()
	return &status{
		Interface: d.o.ifname, VHID: c.Nodes[0].VHID, State: d.dev.State().String(), Link: !d.dev.Suppressed(),
		Addrs: d.dev.Addrs(), AdvBase: c.AdvBase, AdvSkew: c.Nodes[0].AdvSkew, MasterDown: c.MasterDown.String(),
		Preempt: c.Preempt, Demotion: d.dev.Demotion(), Stats: d.parent.Stats(), Transitions: append([]transition{}, d.history...),
	}
}

func (s *status) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\tvhid %d\t%s\tlink up: %v\n", s.Interface, s.VHID, s.State, s.Link)
	fmt.Fprintf(tw, "addresses\t%v\n", s.Addrs)
	fmt.Fprintf(tw, "interval\t%d s + %d/256 s\tmaster down: %s\tpreempt: %v\tdemotion: %d\n", s.AdvBase, s.AdvSkew, s.MasterDown, s.Preempt, s.Demotion)
	fmt.Fprintf(tw, "counters\t%+v\n", s.Stats)
	for _, t := range s.Transitions {
		fmt.Fprintf(tw, "%s\t%s -> %s\t%s\n", t.Time.Format(time.RFC3339Nano), t.From, t.To, t.Why)
	}
	return tw.Flush()
}

// listen binds to the loopback address if no other is given.
func listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("-http: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// page serves the status, as text and as JSON.
func (d *daemon) page() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if s := d.ask(r); s != nil {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_ = s.print(w)
		}
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		if s := d.ask(r); s != nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(s)
		}
	})
	return mux
}

// ask gets the status from the daemon's goroutine; nil if the caller has gone.
func (d *daemon) ask(r *http.Request) *status {
	got := make(chan *status, 1)
	select {
	case d.asked <- func() { got <- d.status() }:
		return <-got
	case <-r.Context().Done():
		return nil
	}
}
