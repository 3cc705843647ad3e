package main

import (
	"math"
	"slices"
)

// enough is in how many rounds a row has to be measured, if there were so many.
const enough = 3

// A spread is what the rounds say of one figure.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"` // half of the rounds lie from here
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"` // in which it was measured
}

// spreadOf returns nil if vs, of which some are no numbers, are too few.
func spreadOf(vs []float64) *spread {
	good := slices.DeleteFunc(slices.Clone(vs), math.IsNaN)
	if len(good) < min(enough, len(vs)) || len(good) == 0 {
		return nil
	}
	slices.Sort(good)
	n := len(good)
	return &spread{median(good), good[n/4], good[n-1-n/4], n}
}

// A result is a row that was measured.
type result struct {
	What  string       `json:"what"`
	Unit  string       `json:"unit"`
	Ours  *spread      `json:"ours"` // nil: not measurable
	Lines []lineResult `json:"lines"`
}

type lineResult struct {
	Target  string  `json:"target,omitempty"`
	Peer    string  `json:"peer,omitempty"`
	Figure  *spread `json:"figure,omitempty"` // the peer's
	Ratio   *spread `json:"ratio,omitempty"`  // ours to the peer's, round by round
	Verdict verdict `json:"verdict,omitempty"`

	kind kind
}

// figures are what each probe measured, round by round; no number where it could not.
type figures map[*probe][]float64

// probesOf returns everything that rows mention, X first, each once.
func probesOf(rows []row) []*probe {
	ps := []*probe{exchange}
	add := func(p *probe) {
		if p != nil && !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	for _, r := range rows {
		add(r.ours)
		for _, l := range r.lines {
			add(l.peer)
		}
	}
	return ps
}

// take measures all that rows mention, once a round.
func take(rows []row, e effort, progress func(round int)) figures {
	ps, fs := probesOf(rows), make(figures)
	for round := range e.rounds {
		progress(round)
		for _, p := range ps {
			fs[p] = append(fs[p], p.measure(e))
		}
	}
	return fs
}

// of returns what the figures say of r. In a checked build they say nothing of a target.
func (fs figures) of(r row, checked bool) result {
	ours := fs[r.ours]
	res := result{What: r.what, Unit: r.ours.unit, Ours: spreadOf(ours)}
	for _, l := range r.lines {
		lr := lineResult{Target: l.target, kind: l.kind}
		judged := res.Ours
		if l.peer != nil {
			ratios := make([]float64, len(ours))
			for i := range ours {
				ratios[i] = ours[i] / fs[l.peer][i]
			}
			lr.Peer, lr.Figure, lr.Ratio = l.peer.name, spreadOf(fs[l.peer]), spreadOf(ratios)
			judged = lr.Ratio
		}
		if judged == nil || checked {
			lr.Verdict = l.judge(math.NaN())
		} else {
			lr.Verdict = l.judge(judged.Median)
		}
		res.Lines = append(res.Lines, lr)
	}
	return res
}
