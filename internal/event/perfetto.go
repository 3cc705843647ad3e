package event

import (
	"encoding/json"
	"io"
	"slices"
)

// Perfetto writes evs to w in the trace event format that ui.perfetto.dev and chrome://tracing open:
// a thread for each actor, a slice for what it holds, an instant for everything else. Where no event has
// a time each takes a millisecond. The error is w's.
func Perfetto(w io.Writer, evs []Event) error {
	type entry struct {
		Name string            `json:"name"`
		Ph   string            `json:"ph"`
		TS   float64           `json:"ts"` // µs
		Dur  float64           `json:"dur,omitempty"`
		PID  int               `json:"pid"`
		TID  int               `json:"tid"`
		S    string            `json:"s,omitempty"`
		Args map[string]string `json:"args,omitempty"`
	}
	timed := slices.ContainsFunc(evs, func(e Event) bool { return e.At != 0 })
	at := func(i int) float64 {
		if timed {
			return float64(evs[i].At.Nanoseconds()) / 1e3
		}
		return float64(i) * 1e3
	}
	var actors []string
	list := []entry{}
	for i, e := range evs {
		tid := 1 + slices.Index(actors, e.Actor)
		if tid == 0 {
			actors = append(actors, e.Actor)
			tid = len(actors)
			name := e.Actor
			if name == "" {
				name = "everybody"
			}
			list = append(list, entry{Name: "thread_name", Ph: "M", PID: 1, TID: tid, Args: map[string]string{"name": name}})
		}
		x := entry{Name: e.String(), Ph: "i", TS: at(i), PID: 1, TID: tid, S: "t"}
		if e.Source != "" {
			x.Args = map[string]string{"source": e.Source}
		}
		list = append(list, x)
		if e.Kind() != Begin {
			continue
		}
		end := len(evs) - 1
		for j := i + 1; j < len(evs); j++ {
			if o := evs[j]; o.Actor == e.Actor && o.Object == e.Object && o.Kind() == End {
				end = j
				break
			}
		}
		list = append(list, entry{Name: "holds " + e.Object, Ph: "X", TS: at(i), Dur: max(1, at(end)-at(i)), PID: 1, TID: tid})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(struct {
		TraceEvents []entry `json:"traceEvents"`
	}{list})
}
