package failover

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/softnet-go/softnet/mbuf"
)

// A report is what has become of it.
type report struct {
	Flows   int    `json:"flows"`   // conversations
	Lost    int    `json:"lost"`    // that did not go on at the end
	Never   int    `json:"never"`   // among them, that never began
	Wrong   uint64 `json:"wrong"`   // words that came back damaged or out of order
	Answers uint64 `json:"answers"` // words that came back

	Killed   duration            `json:"killed"`
	Returned duration            `json:"returned"`
	Outage   map[string]duration `json:"outage"` // the longest silence of a conversation: 50 %, 95 %, the most
	Masters  []moment            `json:"moments"`

	States    map[string]int    `json:"states"` // that each firewall knows
	Forwarded uint64            `json:"forwarded"`
	Blocked   uint64            `json:"blocked"`    // of no state, and no rule passes them
	Mismatch  uint64            `json:"mismatches"` // of a state, and not what it expects
	Drops     map[string]uint64 `json:"drops"`      // packets by why they ended, of both firewalls

	silences []time.Duration
}

// A duration prints as one, in JSON too.
type duration time.Duration

func (d duration) String() string { return time.Duration(d).Round(time.Millisecond).String() }

// MarshalJSON prints it as text.
func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// quiet is for how long a conversation may have been silent that goes on.
func (c config) quiet() time.Duration { return 4 * c.every }

// report says what has become of it. Firewalls are still there.
func (w *world) report(killed, returned time.Time) *report {
	r := &report{
		Killed: duration(killed.Sub(w.start)), Returned: duration(returned.Sub(w.start)),
		States: map[string]int{}, Outage: map[string]duration{}, Drops: map[string]uint64{},
	}
	now := time.Now()
	w.clients.mu.Lock()
	for _, f := range w.clients.flows {
		r.Flows++
		r.Wrong += f.wrong
		r.Answers += f.answers
		switch {
		case f.begun.IsZero():
			r.Lost++
			r.Never++
			continue
		case f.reset || now.Sub(f.last) > w.c.quiet():
			r.Lost++
		}
		r.silences = append(r.silences, max(f.outage, now.Sub(f.last)))
	}
	w.clients.mu.Unlock()
	slices.Sort(r.silences)
	if n := len(r.silences); n > 0 {
		r.Outage["half"], r.Outage["95%"], r.Outage["most"] = duration(r.silences[n/2]), duration(r.silences[n*95/100]), duration(r.silences[n-1])
	}
	for i, f := range w.walls {
		if f != nil {
			r.States[wallNames[i]] = f.states()
		}
	}
	w.mu.Lock()
	r.Masters = slices.Clone(w.moments)
	w.mu.Unlock()
	return r
}

var errLaw = errors.New("packets were not accounted for")

// conserve adds what the firewalls have counted, when they are gone, and holds it against the law: every
// packet that a firewall was given or has made has ended once, for a reason.
func (w *world) conserve(r *report) error {
	r.Forwarded, r.Blocked, r.Mismatch = w.sent, w.blocked, w.missed
	for why, n := range w.frees {
		if n > 0 && why != mbuf.Done {
			r.Drops[why.String()] = n
		}
	}
	if n := w.frees[mbuf.Handler]; n > 0 {
		return fmt.Errorf("%w: %d by handlers that forgot them", errLaw, n)
	}
	return nil
}

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) text(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d conversations, %d words said and answered\n", r.Flows, r.Answers)
	fmt.Fprintf(&b, "the master was killed at %v and came back at %v\n\n", r.Killed, r.Returned)
	for _, m := range r.Masters {
		fmt.Fprintf(&b, "  %8.3fs %s %s\n", m.At.Seconds(), m.Who, m.What)
	}
	fmt.Fprintf(&b, "\nlost          %d", r.Lost)
	if r.Never > 0 {
		fmt.Fprintf(&b, ", of which %d never began", r.Never)
	}
	fmt.Fprintf(&b, "\nout of order  %d\nsilence       half of the conversations had none longer than %v, 95%% of %v, none of %v\n",
		r.Wrong, r.Outage["half"], r.Outage["95%"], r.Outage["most"])
	fmt.Fprintf(&b, "states        ada knows %d, bob %d\n", r.States["ada"], r.States["bob"])
	fmt.Fprintf(&b, "forwarded     %d, blocked %d, not what their state expects %d\n", r.Forwarded, r.Blocked, r.Mismatch)
	for _, why := range slices.Sorted(maps.Keys(r.Drops)) {
		fmt.Fprintf(&b, "              %d %s\n", r.Drops[why], why)
	}
	b.WriteString("every packet has ended once, for a reason\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// page writes the report as a page: the moments on a line, and how long conversations were silent.
func (r *report) page(file string) error {
	var b strings.Builder
	const width, scale = 900, 85.0 // pixels, and of a second
	b.WriteString(`<!doctype html><meta charset="utf-8"><title>failover</title>
<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto}text{fill:currentColor;font-size:11px}line,rect{stroke:currentColor}pre{white-space:pre-wrap}</style>
<h1>failover</h1>
`)
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d 230" role="img" aria-label="what happened when"><line x1="0" y1="120" x2="%d" y2="120"/>`, width, width)
	for s := range 11 {
		fmt.Fprintf(&b, `<line x1="%.0f" y1="116" x2="%.0f" y2="124"/><text x="%.0f" y="138">%ds</text>`, float64(s)*scale, float64(s)*scale, float64(s)*scale+2, s)
	}
	rows := map[string]int{}
	for _, m := range r.Masters {
		if !strings.Contains(m.What, "MASTER") && !strings.Contains(m.What, "KILLED") && !strings.Contains(m.What, "switched") && !strings.Contains(m.What, "32") {
			continue
		}
		x, up := m.At.Seconds()*scale, m.Who == "ada"
		y := 20 + 16*(rows[m.Who]%5)
		if !up {
			y = 152 + 16*(rows[m.Who]%5)
		}
		rows[m.Who]++
		fmt.Fprintf(&b, `<line x1="%.1f" y1="120" x2="%.1f" y2="%d" stroke-dasharray="2 3"/><text x="%.1f" y="%d">%s %s</text>`, x, x, y, x+3, y, m.Who, html.EscapeString(m.What))
	}
	b.WriteString("</svg>\n<h2>How long conversations were silent at most</h2>\n")
	const bars = 40
	var count [bars]int
	most := time.Duration(1)
	if n := len(r.silences); n > 0 {
		most = max(1, r.silences[n-1])
	}
	high := 1
	for _, s := range r.silences {
		i := min(bars-1, int(int64(s)*bars/int64(most)))
		count[i]++
		high = max(high, count[i])
	}
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d 170" role="img" aria-label="a histogram">`, width)
	for i, n := range count {
		h := 140 * n / high
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="18" height="%d" fill="none"><title>%d</title></rect>`, i*22, 150-h, h, n)
	}
	fmt.Fprintf(&b, `<text x="0" y="166">0</text><text x="820" y="166">%v</text></svg>`+"\n<pre>", most.Round(time.Millisecond))
	var text strings.Builder
	if err := r.text(&text); err != nil {
		return err
	}
	b.WriteString(html.EscapeString(text.String()))
	b.WriteString("</pre>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
