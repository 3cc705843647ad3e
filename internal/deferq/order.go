package deferq

// An Order decides from which list of a stream comes what is handled next. It is asked and told
// under the stream's lock.
type Order interface {
	// Next returns a list that is not empty, and how many of it are next at most; or 0 if all
	// are empty.
	Next(lens []int) (list, n int)
	// Served is told how many of a list were handled since Next, and how many are left in each
	// list. It reports whether a batch has ended: what the client is told then.
	Served(lens []int, list, n int) (ended bool)
}

// Passes goes from list to list, and takes from each what is in it when its turn begins: no list
// can starve another.
type Passes struct {
	list   int // whose turn it is
	budget int // what is left of it
}

// Next returns the list whose turn it is.
func (p *Passes) Next(lens []int) (list, n int) {
	if p.budget > 0 && lens[p.list] > 0 {
		return p.list, min(p.budget, lens[p.list])
	}
	for range lens {
		p.list = (p.list + 1) % len(lens)
		if n := lens[p.list]; n > 0 {
			p.budget = n
			return p.list, n
		}
	}
	p.budget = 0
	return 0, 0
}

// Served ends a batch with the turn.
func (p *Passes) Served(lens []int, list, n int) bool {
	p.budget -= n
	return p.budget <= 0 || lens[list] == 0
}

// Patience is how many more urgent items overtake one at most.
const Patience = 16

// Priorities takes from the first list that is not empty, but that no item is overtaken by more
// than Patience of other lists before one of its list is served.
type Priorities struct {
	passed []int // of each list: how many of others were served since it has waited
}

// Next returns the most urgent list, or one that has been patient for long.
func (p *Priorities) Next(lens []int) (list, n int) {
	if p.passed == nil {
		p.passed = make([]int, len(lens))
	}
	first := -1
	for i := len(lens) - 1; i >= 0; i-- {
		if lens[i] == 0 {
			continue
		}
		if p.passed[i] >= Patience {
			return i, 1
		}
		first = i
	}
	if first < 0 {
		return 0, 0
	}
	n = min(lens[first], Patience) // and no more, for somebody may come meanwhile
	for i := first + 1; i < len(lens); i++ {
		if lens[i] > 0 {
			n = min(n, Patience-p.passed[i])
		}
	}
	return first, n
}

// Served ends a batch with each hand. Of one that was taken back whole nothing was served.
func (p *Priorities) Served(lens []int, list, n int) bool {
	if n == 0 {
		return false
	}
	for i := range lens {
		switch {
		case i == list || lens[i] == 0:
			p.passed[i] = 0
		case i > list:
			p.passed[i] += n
		}
	}
	return true
}
