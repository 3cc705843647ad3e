package lesson

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/softnet-go/softnet/internal/event"
)

//go:embed page.html index.html
var pages embed.FS

var templates = template.Must(template.ParseFS(pages, "*.html"))

// A side is one of the two designs of a lesson, as a page shows it.
type side struct {
	Name, Clause string // wrong or right, and what it is
	Text         string // the transcript, with its verdict
	SVG          template.HTML
	Steps        []step
	events       []event.Event
}

// A step is an event: what it says, and the line of source that it comes from.
type step struct {
	Who, What, Source string
}

// side tells a story for a picture.
func (l Lesson) side(name, clause string, tell func(*event.Recorder) error) (s side, err error) {
	ring := event.NewRing(1024)
	broken := tell(event.NewSourced(ring, "wrong.go", "right.go"))
	s = side{Name: name, Clause: clause, events: ring.Events()}
	for i := range s.events {
		s.events[i].At = s.events[i].At.Round(time.Millisecond)
	}
	s.Text = transcript(s.events, broken)
	var svg bytes.Buffer
	if err := event.SVG(&svg, l.Name+", "+name, s.events); err != nil {
		return s, err
	}
	s.SVG = template.HTML(svg.String())
	for _, e := range s.events {
		s.Steps = append(s.Steps, step{e.Actor, e.String(), e.Source})
	}
	return s, nil
}

// render writes the lesson's page, NAME.html, and beside it the pictures and traces of both sides.
func (l Lesson) render(dir string) error {
	page := struct {
		Lesson
		Sides []side
	}{Lesson: l}
	for _, x := range []struct {
		name, clause string
		tell         func(*event.Recorder) error
	}{{"wrong", l.Breaks, l.Wrong}, {"right", l.Fixes, l.Right}} {
		s, err := l.side(x.name, x.clause, x.tell)
		if err != nil {
			return err
		}
		page.Sides = append(page.Sides, s)
		var trace bytes.Buffer
		if err := event.Perfetto(&trace, s.events); err != nil {
			return err
		}
		base := filepath.Join(dir, l.Name+"-"+x.name)
		if err := os.WriteFile(base+".svg", []byte(s.SVG), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(base+".json", trace.Bytes(), 0o644); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "page.html", page); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, l.Name+".html"), b.Bytes(), 0o644)
}

// Render writes the gallery into a directory, as pages that want nothing but a browser: index.html, and
// a page, two pictures and two traces for each lesson.
func (g Gallery) Render(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, l := range g.Lessons {
		if err := l.render(dir); err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
	}
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, "index.html", g); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "index.html"), b.Bytes(), 0o644)
}

// transcript is a story in lanes, with the verdict below them.
func transcript(evs []event.Event, broken error) string {
	var b strings.Builder
	_ = event.Lanes(&b, evs) // a Builder does not fail
	if broken != nil {
		fmt.Fprintf(&b, "\nBROKEN: %v\n", broken)
	} else {
		b.WriteString("\nHELD\n")
	}
	return b.String()
}
