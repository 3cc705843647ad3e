package hook

// Leaf observes leaf locks in checked builds. The witness package sets it once, while
// the program initialises: it must know that a goroutine holds a leaf to report a lock
// taken below one. In other builds it is never called.
var Leaf struct {
	Locked, Unlocked func(m *Mutex)
}

func leafLocked(m *Mutex) {
	if f := Leaf.Locked; f != nil {
		f(m)
	}
}

func leafUnlocked(m *Mutex) {
	if f := Leaf.Unlocked; f != nil {
		f(m)
	}
}
