package rtable

// Slots returns how many slots for entries have been given out so far.
func (t *Table) Slots() int { return int(t.store.used) }
