package mbuf

import "fmt"

// A TagKey is a kind of tag: state of type T that travels with packets (struct m_tag). Make
// one with [NewTagKey]; two keys are two kinds, whatever they are called. A packet has at most
// one tag of a kind.
type TagKey[T any] struct {
	name string
	opts TagOptions[T]
}

// TagOptions says what becomes of the tags of a kind. The zero TagOptions suits plain values
// that belong to one hop.
type TagOptions[T any] struct {
	// Free is called once for a tag that is deleted, replaced, or on a packet that ends. It
	// runs in whoever does that, with whatever locks they hold: it must neither block nor take
	// a lock that is no leaf.
	Free func(T)
	// Ended, if not nil, is called in Free's place for a tag on a packet that ends, with the reason.
	Ended func(T, Reason)
	// Clone makes a second T for a clone of the packet. Without it clones do not have the tag.
	Clone func(T) T
	// Persistent tags stay when the packet crosses into another interface (MTAG_PERSISTENT).
	Persistent bool
}

// NewTagKey returns a new kind of tag. The name is for reports.
func NewTagKey[T any](name string, o TagOptions[T]) *TagKey[T] {
	return &TagKey[T]{name: name, opts: o}
}

type tag struct {
	key   tagKey
	value any
}

// tagKey is a TagKey of any type.
type tagKey interface {
	free(v any)
	ended(v any, why Reason)
	clone(v any) (any, bool)
	persistent() bool
}

// Set puts v on the packet, in place of what was there of this kind, which is freed.
func (k *TagKey[T]) Set(m *Packet, v T) {
	k.Delete(m)
	m.tags = append(m.tags, tag{k, v})
}

// Get returns the packet's tag of this kind, and whether there is one (m_tag_find). The tag
// stays the packet's.
func (k *TagKey[T]) Get(m *Packet) (v T, ok bool) {
	if i := k.find(m); i >= 0 {
		return m.tags[i].value.(T), true
	}
	return v, false
}

// Take takes the tag off the packet, without freeing it: it is the caller's now.
func (k *TagKey[T]) Take(m *Packet) (v T, ok bool) {
	i := k.find(m)
	if i < 0 {
		return v, false
	}
	v = m.tags[i].value.(T)
	m.untag(i)
	return v, true
}

// Delete takes the tag off the packet and frees it, and reports whether there was one
// (m_tag_delete).
func (k *TagKey[T]) Delete(m *Packet) bool {
	v, ok := k.Take(m)
	if ok && k.opts.Free != nil {
		k.opts.Free(v)
	}
	return ok
}

// Copy gives to a second tag like from's, if there is one. It panics if the kind cannot be
// cloned: state that is counted would be given back twice.
func (k *TagKey[T]) Copy(from, to *Packet) {
	if k.opts.Clone == nil {
		panic(from.violation("tag without Clone", "asked for a copy of its tag %q, which cannot be cloned,", k.name))
	}
	if v, ok := k.Get(from); ok {
		k.Set(to, k.opts.Clone(v))
	}
}

// String returns the kind's name.
func (k *TagKey[T]) String() string { return fmt.Sprintf("tag %q", k.name) }

func (k *TagKey[T]) find(m *Packet) int {
	for i := range m.tags {
		if m.tags[i].key == tagKey(k) {
			return i
		}
	}
	return -1
}

func (k *TagKey[T]) free(v any) {
	if k.opts.Free != nil {
		k.opts.Free(v.(T))
	}
}

func (k *TagKey[T]) ended(v any, why Reason) {
	if k.opts.Ended == nil {
		k.free(v)
		return
	}
	k.opts.Ended(v.(T), why)
}

func (k *TagKey[T]) clone(v any) (any, bool) {
	if k.opts.Clone == nil {
		return nil, false
	}
	return k.opts.Clone(v.(T)), true
}

func (k *TagKey[T]) persistent() bool { return k.opts.Persistent }

func (m *Packet) untag(i int) {
	copy(m.tags[i:], m.tags[i+1:])
	m.tags[len(m.tags)-1] = tag{}
	m.tags = m.tags[:len(m.tags)-1]
}

// endTags frees all tags, the last first: the packet has ended.
func (m *Packet) endTags(why Reason) {
	for i := len(m.tags) - 1; i >= 0; i-- {
		t := m.tags[i]
		m.untag(i) // first: a free function that panics is not called again
		t.key.ended(t.value, why)
	}
}

// DeleteNonPersistentTags frees the tags that do not stay when the packet crosses into another
// interface, the last first (m_tag_delete_nonpersistent).
func (m *Packet) DeleteNonPersistentTags() {
	for i := len(m.tags) - 1; i >= 0; i-- {
		if t := m.tags[i]; !t.key.persistent() {
			m.untag(i)
			t.key.free(t.value)
		}
	}
}
