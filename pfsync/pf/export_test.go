package pf

// Bucket returns which chain of keys a key is in.
func (t *Table) Bucket(k Key) uint64 { return k.hash(t.seed) & t.mask }
