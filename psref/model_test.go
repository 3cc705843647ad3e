package psref_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/psref"
)

// The specification, with nothing clever in it: a target can be acquired while it is
// live, and a Destroy has returned exactly when nobody holds its target and every softint
// that was online when it began has since passed a checkpoint or gone offline.
type model struct {
	s       *stack
	lwps    []*holder
	targets []*life
}

type holder struct {
	l       *lwp.LWP
	softint bool
	online  bool
	refs    []*held
}

type held struct {
	ref *psref.Ref
	of  *life
}

type life struct {
	x        *thing
	dying    bool
	unheard  map[*holder]bool // softints that have not answered its Destroy yet
	done     chan error
	cancel   context.CancelFunc
	finished bool
}

func (m *model) holders(lf *life) (n int) {
	for _, h := range m.lwps {
		for _, r := range h.refs {
			if r.of == lf {
				n++
			}
		}
	}
	return n
}

func (m *model) lwp(t *rapid.T) *holder { return rapid.SampledFrom(m.lwps).Draw(t, "lwp") }

func (m *model) target(t *rapid.T) *life { return rapid.SampledFrom(m.targets).Draw(t, "target") }

func (m *model) answered(h *holder) {
	for _, lf := range m.targets {
		delete(lf.unheard, h)
	}
}

func (m *model) acquire(t *rapid.T) {
	h, lf := m.lwp(t), m.target(t)
	if h.softint && !h.online {
		t.Skip("a softint holds things only while online")
	}
	r := &held{new(psref.Ref), lf}
	ok := m.s.class.Acquire(h.l, r.ref, &lf.x.target)
	require.Equal(t, !lf.dying, ok)
	if ok {
		h.refs = append(h.refs, r)
	}
}

func (m *model) some(t *rapid.T) (*holder, int) {
	h := m.lwp(t)
	if len(h.refs) == 0 {
		t.Skip("holds nothing")
	}
	return h, rapid.IntRange(0, len(h.refs)-1).Draw(t, "ref")
}

func (m *model) release(t *rapid.T) {
	h, i := m.some(t)
	h.refs[i].ref.Release(h.l)
	h.refs = append(h.refs[:i:i], h.refs[i+1:]...)
}

func (m *model) copy(t *rapid.T) {
	h, i := m.some(t)
	r := &held{new(psref.Ref), h.refs[i].of}
	h.refs[i].ref.Copy(h.l, r.ref)
	h.refs = append(h.refs, r)
}

func (m *model) checkpoint(t *rapid.T) {
	h := m.lwp(t)
	h.l.Checkpoint()
	if h.softint {
		m.answered(h)
	}
}

func (m *model) toggle(t *rapid.T) {
	h := m.lwp(t)
	if !h.softint || len(h.refs) > 0 {
		t.Skip("only an idle softint goes offline")
	}
	if h.online = !h.online; h.online {
		h.l.Online()
	} else {
		h.l.Offline()
		m.answered(h)
	}
}

func (m *model) destroy(t *rapid.T) {
	lf := m.target(t)
	if lf.done != nil || lf.finished {
		t.Skip("is being destroyed")
	}
	lf.dying, lf.done, lf.unheard = true, make(chan error, 1), map[*holder]bool{}
	for _, h := range m.lwps {
		if h.softint && h.online {
			lf.unheard[h] = true
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	lf.cancel = cancel
	done := lf.done
	go func() {
		l := m.s.dom.Bind()
		defer l.Unbind()
		done <- lf.x.target.Destroy(ctx, l)
	}()
}

func (m *model) cancelDestroy(t *rapid.T) {
	lf := m.target(t)
	if lf.done == nil || lf.finished || (m.holders(lf) == 0 && len(lf.unheard) == 0) {
		t.Skip("no Destroy waits")
	}
	lf.cancel()
	require.ErrorIs(t, <-lf.done, context.Canceled)
	lf.done = nil
}

func (m *model) revive(t *rapid.T) {
	lf := m.target(t)
	if !lf.finished {
		t.Skip("not dead")
	}
	m.s.class.Init(&lf.x.target)
	*lf = life{x: lf.x}
}

func (m *model) check(t *rapid.T) {
	synctest.Wait()
	for _, lf := range m.targets {
		if lf.done != nil && !lf.finished {
			select {
			case err := <-lf.done:
				require.NoError(t, err)
				lf.cancel()
				lf.finished = true
			default:
			}
			free := m.holders(lf) == 0 && len(lf.unheard) == 0
			require.Equal(t, free, lf.finished, "%v: %d holders, %d softints unheard", &lf.x.target, m.holders(lf), len(lf.unheard))
		}
		for _, h := range m.lwps {
			n := 0
			for _, r := range h.refs {
				if r.of == lf {
					n++
				}
			}
			require.Equal(t, n > 0, lf.x.target.Held(h.l))
		}
	}
}

// P-psref-1: nothing is destroyed while held. P-psref-2: every Destroy ends once the last
// holder releases. Against the model above, in virtual time.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := &model{s: newStack()}
			for range 2 {
				m.lwps = append(m.lwps, &holder{l: m.s.dom.Bind()},
					&holder{l: m.s.dom.BindSoftint("model"), softint: true, online: true})
			}
			for range 3 {
				m.targets = append(m.targets, &life{x: m.s.thing()})
			}
			defer func() {
				for _, h := range m.lwps {
					for _, r := range h.refs {
						r.ref.Release(h.l)
					}
					h.l.Unbind()
				}
			}()
			t.Repeat(map[string]func(*rapid.T){
				"acquire": m.acquire, "release": m.release, "copy": m.copy, "checkpoint": m.checkpoint,
				"toggle": m.toggle, "destroy": m.destroy, "cancel": m.cancelDestroy, "revive": m.revive, "": m.check,
			})
		})
	})
}
