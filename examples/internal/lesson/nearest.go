package lesson

import "strings"

// nearest returns the name that was most likely meant: one that what begins or is part
// of, or else the one fewest typing mistakes away, if they are few; "" if none is near.
func nearest(what string, names []string) string {
	if what == "" {
		return ""
	}
	for _, name := range names {
		if strings.Contains(name, strings.ToLower(what)) {
			return name
		}
	}
	best, limit := "", len(what)/2+1
	for _, name := range names {
		if d := distance(what, name); d < limit {
			best, limit = name, d
		}
	}
	return best
}

// distance is how many letters must be added, removed or changed to make b from a.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances from what is done of a to each start of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
