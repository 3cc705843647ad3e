package witness

import "github.com/softnet-go/softnet/internal/hook"

// leaf stands for all leaf locks. They have no order: nothing is waited for below one.
var leaf node

func init() {
	if !Enabled {
		return
	}
	leaf.init(std, "a leaf lock", false)
	hook.Leaf.Locked = func(m *hook.Mutex) {
		b := lockSelf()
		push(&b.holds, &leaf, m, 3, fewFrames) // without two frames of hook
		b.unlock()
	}
	hook.Leaf.Unlocked = func(m *hook.Mutex) {
		b := lockSelf()
		b.drop(m) // a task that a schedule explorer ended may not have it
		b.unlock()
	}
}
