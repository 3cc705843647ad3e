package witness_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/softnet-go/softnet/witness"
)

// rwModel is RWMutex's specification: who holds it, and who waits, oldest first. It
// lets one thing happen after the other, and every rule is written out.
type rwModel struct {
	readers  []int
	writer   []int // one at most
	waitRead []int
	waitWrit []int
}

func (m *rwModel) rlock(id int) {
	if len(m.writer) == 0 && len(m.waitWrit) == 0 {
		m.readers = append(m.readers, id)
	} else {
		m.waitRead = append(m.waitRead, id)
	}
}

func (m *rwModel) lock(id int) {
	if len(m.writer) == 0 && len(m.readers) == 0 {
		m.writer = []int{id}
	} else {
		m.waitWrit = append(m.waitWrit, id)
	}
}

// leave ends what id does, holding or waiting, and lets in whose turn it is.
func (m *rwModel) leave(id int) {
	wrote := slices.Contains(m.writer, id)
	for _, l := range []*[]int{&m.readers, &m.writer, &m.waitRead, &m.waitWrit} {
		*l = slices.DeleteFunc(*l, func(x int) bool { return x == id })
	}
	if len(m.writer) == 0 && (wrote || len(m.waitWrit) == 0) {
		m.readers = append(m.readers, m.waitRead...)
		m.waitRead = nil
	}
	if len(m.writer) == 0 && len(m.readers) == 0 && len(m.waitWrit) > 0 {
		m.writer, m.waitWrit = m.waitWrit[:1:1], m.waitWrit[1:]
	}
}

// rwMachine drives the lock and its model side by side. Each who is a goroutine.
type rwMachine struct {
	rw     witness.RWMutex
	model  rwModel
	next   int
	cancel map[int]context.CancelFunc // ends a wait
	done   map[int]chan struct{}      // ends a hold

	mu      sync.Mutex
	reading []int
	writing []int
}

func (m *rwMachine) start(lock func(context.Context) error, unlock func(), in *[]int) (id int) {
	id = m.next
	m.next++
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.cancel[id], m.done[id] = cancel, done
	go func() {
		defer cancel()
		if lock(ctx) != nil {
			return
		}
		m.mu.Lock()
		*in = append(*in, id)
		m.mu.Unlock()
		<-done
		m.mu.Lock()
		*in = slices.DeleteFunc(*in, func(x int) bool { return x == id })
		m.mu.Unlock()
		unlock()
	}()
	synctest.Wait()
	return id
}

func (m *rwMachine) rlock(*rapid.T) {
	m.model.rlock(m.start(m.rw.RLockContext, m.rw.RUnlock, &m.reading))
}
func (m *rwMachine) lock(*rapid.T) { m.model.lock(m.start(m.rw.LockContext, m.rw.Unlock, &m.writing)) }

func (m *rwMachine) tryLock(t *rapid.T) {
	free := len(m.model.readers)+len(m.model.writer) == 0
	require.Equal(t, free, m.rw.TryLock())
	if free {
		m.rw.Unlock()
	}
}

func (m *rwMachine) tryRLock(t *rapid.T) {
	free := len(m.model.writer)+len(m.model.waitWrit) == 0
	require.Equal(t, free, m.rw.TryRLock())
	if free {
		m.rw.RUnlock()
	}
}

// unlock ends some hold, and giveUp some wait.
func (m *rwMachine) unlock(t *rapid.T) {
	m.end(t, slices.Concat(m.model.readers, m.model.writer), m.release)
}

func (m *rwMachine) giveUp(t *rapid.T) {
	m.end(t, slices.Concat(m.model.waitRead, m.model.waitWrit), func(id int) { m.cancel[id]() })
}

func (m *rwMachine) end(t *rapid.T, ids []int, end func(id int)) {
	if len(ids) == 0 {
		t.Skip("nobody")
	}
	id := rapid.SampledFrom(ids).Draw(t, "who")
	end(id)
	synctest.Wait()
	m.model.leave(id)
}

func (m *rwMachine) release(id int) {
	if done := m.done[id]; done != nil {
		close(done)
		delete(m.done, id)
	}
}

// everybodyOut leaves nobody behind in the bubble, whatever state the lock is in.
func (m *rwMachine) everybodyOut() {
	for id := range m.next {
		m.cancel[id]()
		m.release(id)
	}
	synctest.Wait()
}

func (m *rwMachine) check(t *rapid.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	require.ElementsMatch(t, m.model.readers, m.reading)
	require.ElementsMatch(t, m.model.writer, m.writing)
}

func TestRWMutex_AgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			m := &rwMachine{cancel: make(map[int]context.CancelFunc), done: make(map[int]chan struct{})}
			defer m.everybodyOut()
			t.Repeat(map[string]func(*rapid.T){
				"lock": m.lock, "rlock": m.rlock, "unlock": m.unlock, "give up": m.giveUp,
				"try lock": m.tryLock, "try rlock": m.tryRLock, "": m.check,
			})
		})
	})
}
