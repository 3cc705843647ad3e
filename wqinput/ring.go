package wqinput

// A ring is items in order.
type ring struct {
	items      []item // as many as a power of two, or none
	head, size int
}

func (r *ring) len() int       { return r.size }
func (r *ring) at(i int) *item { return &r.items[(r.head+i)&(len(r.items)-1)] }

func (r *ring) push(it item) {
	r.grow()
	r.size++
	*r.at(r.size - 1) = it
}

func (r *ring) pop() item {
	it := *r.at(0)
	*r.at(0) = item{}
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.size--
	return it
}

// unpop is pop taken back.
func (r *ring) unpop(it item) {
	r.grow()
	r.head = (r.head - 1) & (len(r.items) - 1)
	r.size++
	*r.at(0) = it
}

// remove takes out the items that match, and leaves the others in their order.
func (r *ring) remove(match func(*item) bool, gone func(item)) {
	n := 0
	for i := range r.size {
		if it := *r.at(i); match(&it) {
			gone(it)
		} else {
			*r.at(n) = it
			n++
		}
	}
	for i := n; i < r.size; i++ {
		*r.at(i) = item{}
	}
	r.size = n
}

// grow makes room for one more.
func (r *ring) grow() {
	if r.size < len(r.items) {
		return
	}
	items := make([]item, max(8, 2*len(r.items)))
	n := copy(items, r.items[r.head:])
	copy(items[n:], r.items[:r.head])
	r.items, r.head = items, 0
}
