package event

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	lanesWidth = 100 // of a line, in characters, while every lane keeps laneMin
	laneMin    = 16
	laneGap    = "  "
	laneIndent = "  " // of what did not fit on a cell's first line
)

// Lanes writes evs to w in the order given, one column per actor in order of first
// appearance and the time in front of them. What an empty actor says runs across the
// columns. Times are shown to three digits; where no event has one, the first column is
// the sequence number instead. Long cells are wrapped. Equal events give equal bytes.
// The error is w's.
func Lanes(w io.Writer, evs []Event) error {
	head, rows := table(evs)
	widths := laneWidths(append([][]string{head}, rows...))
	total := sum(widths) + len(laneGap)*(len(widths)-1)

	out := bufio.NewWriter(w)
	writeRow(out, head, widths)
	for i, row := range rows {
		if evs[i].Actor == "" {
			span := max(total, lanesWidth) - widths[0] - len(laneGap)
			writeRow(out, []string{row[0], evs[i].String()}, []int{widths[0], span})
			continue
		}
		writeRow(out, row, widths)
	}
	return out.Flush()
}

// table lays evs out as text. The events without an actor have only a first column.
func table(evs []Event) (head []string, rows [][]string) {
	timed := slices.ContainsFunc(evs, func(e Event) bool { return e.At != 0 })
	head = []string{"t"}
	if !timed {
		head[0] = "#"
	}
	for _, e := range evs {
		row := []string{strconv.FormatUint(e.Seq, 10)}
		if timed {
			row[0] = threeDigits(e.At).String()
		}
		if e.Actor != "" {
			i := 1 + slices.Index(head[1:], e.Actor)
			if i == 0 {
				i = len(head)
				head = append(head, e.Actor)
			}
			row = append(row, make([]string, i)...)
			row[i] = strings.ReplaceAll(e.String(), "\t", laneIndent)
		}
		rows = append(rows, row)
	}
	return head, rows
}

// threeDigits rounds d to three significant digits.
func threeDigits(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 || d/unit <= -1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// laneWidths gives each column what its longest cell wants; if that is too much for a
// line, the columns that want more than a fair share get that share.
func laneWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			for line := range strings.Lines(cell) {
				widths[i] = max(widths[i], utf8.RuneCountInString(strings.TrimSuffix(line, "\n")))
			}
		}
	}
	lanes := widths[1:]
	room := lanesWidth - widths[0] - len(laneGap)*len(lanes)
	if sum(lanes) <= room {
		return widths
	}
	share := laneMin
	for capped(lanes, share+1) <= room {
		share++
	}
	for i := range lanes {
		lanes[i] = min(lanes[i], share)
	}
	return widths
}

// capped is the sum of ns when none may count for more than limit.
func capped(ns []int, limit int) (s int) {
	for _, n := range ns {
		s += min(n, limit)
	}
	return s
}

func sum(ns []int) (s int) {
	for _, n := range ns {
		s += n
	}
	return s
}

// writeRow writes cells side by side, the first one to the right of its column, as many
// lines as the tallest wants, and no space at the end of a line.
func writeRow(w *bufio.Writer, cells []string, widths []int) {
	wrapped := make([][]string, len(cells))
	height := 0
	for i, cell := range cells {
		wrapped[i] = wrap(cell, widths[i])
		height = max(height, len(wrapped[i]))
	}
	for y := range height {
		pad := 0 // spaces owed before the next text
		for i, lines := range wrapped {
			text := ""
			if y < len(lines) {
				text = lines[y]
			}
			free := widths[i] - utf8.RuneCountInString(text)
			if i == 0 {
				pad, free = free, 0
			}
			if text != "" {
				w.WriteString(strings.Repeat(" ", pad))
				w.WriteString(text)
				pad = 0
			}
			pad += free + len(laneGap)
		}
		w.WriteByte('\n')
	}
}

// wrap breaks s into lines of at most width characters, at spaces where it can. Newlines
// in s stay; the lines that follow a break of ours are indented.
func wrap(s string, width int) (lines []string) {
	for par := range strings.Lines(s) {
		rest, indent := []rune(strings.TrimRight(par, " \n")), ""
		for len(indent)+len(rest) > width {
			room := width - len(indent)
			cut := room
			for cut > 0 && rest[cut] != ' ' {
				cut--
			}
			if strings.TrimSpace(string(rest[:cut])) == "" {
				cut = room // one long word
			}
			lines = append(lines, indent+strings.TrimRight(string(rest[:cut]), " "))
			rest = []rune(strings.TrimLeft(string(rest[cut:]), " "))
			indent = laneIndent
		}
		lines = append(lines, indent+string(rest))
	}
	return lines
}
