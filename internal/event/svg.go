package event

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a picture is laid out by, in its own units.
const (
	svgRow  = 22  // of an event
	svgTop  = 34  // of the first
	svgTime = 62  // in front of the lanes
	svgLane = 250 // of an actor
	svgChar = 6.2 // of a letter, about
	svgBar  = 5   // of what is held
)

// signs are what stands in front of an event, by its kind: colour never says anything alone.
var signs = [...]string{Other: "·", Begin: "▼", End: "▲", Wait: "○", Message: "→", Gone: "✕", Broken: "‼"}

// SVG writes evs to w as a picture, in the order given: a lane for each actor, time downwards, and a bar
// beside a lane for as long as its actor holds something. It takes the colours of the page that it is
// in, light or dark, and each event's sign says what its colour does. Events are groups of class
// "e", with their number as data-step, from 0. Equal events give equal bytes. The error is w's.
func SVG(w io.Writer, title string, evs []Event) error {
	var lanes []string
	for _, e := range evs {
		if e.Actor != "" && !slices.Contains(lanes, e.Actor) {
			lanes = append(lanes, e.Actor)
		}
	}
	width, height := svgTime+svgLane*max(1, len(lanes)), svgTop+svgRow*len(evs)+12
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s" font-family="ui-monospace,monospace" font-size="11">`+"\n",
		width, height, html.EscapeString(title))
	b.WriteString("<style>text{fill:currentColor}.l{stroke:currentColor;opacity:.3}.h{font-weight:bold}.begin{fill:#0a7d4f}.end{fill:#0a7d4f}.wait{fill:#9a6700}.message{fill:#0969da}.gone,.broken{fill:#c62828}.b{fill:#0a7d4f;opacity:.55}@media(prefers-color-scheme:dark){.begin,.end{fill:#4ac38b}.wait{fill:#e3b341}.message{fill:#6cb6ff}.gone,.broken{fill:#ff7b72}}</style>\n")
	for i, name := range lanes {
		x := svgTime + svgLane*i
		fmt.Fprintf(&b, `<text class="h" x="%d" y="18">%s</text><line class="l" x1="%d" y1="24" x2="%d" y2="%d"/>`+"\n", x+18, html.EscapeString(name), x, x, height-6)
	}
	bars(&b, lanes, evs)
	timed := slices.ContainsFunc(evs, func(e Event) bool { return e.At != 0 })
	for i, e := range evs {
		y := svgTop + svgRow*i
		fmt.Fprintf(&b, `<g class="e" data-step="%d">`, i)
		if timed {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" opacity=".7">%s</text>`, svgTime-8, y+4, threeDigits(e.At))
		} else {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" opacity=".7">%d</text>`, svgTime-8, y+4, e.Seq)
		}
		x := svgTime + svgLane*max(0, slices.Index(lanes, e.Actor))
		class, words := e.Kind().String(), e.String()
		fmt.Fprintf(&b, `<text class="%s" x="%d" y="%d">%s</text><text x="%d" y="%d">%s`, class, x+4, y+4, signs[e.Kind()], x+18, y+4, html.EscapeString(cut(words, svgLane-28)))
		if e.Source != "" {
			words += " (" + e.Source + ")"
		}
		fmt.Fprintf(&b, "<title>%s</title></text></g>\n", html.EscapeString(words))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// bars draws what each actor holds, from where it begins to where it ends, or to the bottom.
func bars(b *strings.Builder, lanes []string, evs []Event) {
	for i, from := range evs {
		if from.Kind() != Begin || from.Actor == "" {
			continue
		}
		to, depth := len(evs), 0
		for j := i + 1; j < len(evs); j++ {
			if e := evs[j]; e.Actor == from.Actor && e.Object == from.Object && e.Kind() == End {
				to = j
				break
			}
		}
		for _, e := range evs[:i] {
			if e.Kind() == Begin && e.Actor == from.Actor {
				depth++
			}
		}
		x := svgTime + svgLane*slices.Index(lanes, from.Actor) + 6 - svgBar*min(depth, 2)
		fmt.Fprintf(b, `<rect class="b" x="%d" y="%d" width="3" height="%d"><title>%s holds %s</title></rect>`+"\n",
			x-8, svgTop+svgRow*i, svgRow*(to-i), html.EscapeString(from.Actor), html.EscapeString(from.Object))
	}
}

// cut cuts text to what fits into so many units.
func cut(s string, units int) string {
	most := int(float64(units) / svgChar)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
