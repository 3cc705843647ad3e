package main

import (
	"fmt"
	"strings"
)

const intro = `# Verification

What was run besides the tests, and what it said. ` + "`go run ./internal/verification`" + ` writes this
page, section by section; each says when, on what machine and of which commit it speaks.
Times are those of a machine that may have had other work.

`

func opening(name string) string { return "<!-- " + name + " -->\n" }
func closing(name string) string { return "<!-- end of " + name + " -->\n" }

// render returns the page old with the section called name replaced by text. The frame
// around the sections is made anew.
func render(old, name, text string) string {
	var glance, all strings.Builder
	for _, s := range sections {
		this := text
		if s.name != name {
			this = kept(old, s.name)
		}
		fmt.Fprintf(&all, "\n## %s\n\n%s%s%s", s.title, opening(s.name), this, closing(s.name))
		anchor := strings.ReplaceAll(strings.ToLower(s.title), " ", "-")
		fmt.Fprintf(&glance, "- [%s](#%s): %s\n", s.title, anchor, summaryOf(this))
	}
	return intro + glance.String() + all.String()
}

// kept returns what the page has in a section.
func kept(page, name string) string {
	_, rest, _ := strings.Cut(page, opening(name))
	text, _, found := strings.Cut(rest, closing(name))
	if !found {
		return "**not run yet**\n"
	}
	return text
}

// summaryOf returns the line of a section that sums it up: the first in bold.
func summaryOf(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "**"); ok {
			return strings.TrimSuffix(s, "**")
		}
	}
	return "nothing"
}
