package psref

import (
	"fmt"

	"github.com/softnet-go/softnet/internal/invariants"
	"github.com/softnet-go/softnet/lwp"
	"github.com/softnet-go/softnet/witness"
)

// The misuse that the fast paths found: which it was, and the sentence that says so.

func violation(rule, format string, args ...any) *witness.Violation {
	return &witness.Violation{Rule: "psref: " + rule, Text: "psref: " + fmt.Sprintf(format, args...)}
}

//go:noinline
func (c *Class) cannotAcquire(l *lwp.LWP, r *Ref, t *Target) {
	switch {
	case t.class == nil:
		panic(violation("not initialised", "%v acquires %v", l, t))
	case t.class != c:
		panic(violation("wrong class", "%v acquires %v through class %q", l, t, c.name))
	}
	panic(r.sited(violation("acquired twice", "%v acquires %v with a reference that already holds %v for %s", l, t, r.t, r.owner())))
}

//go:noinline
func (r *Ref) cannotHold(l *lwp.LWP) {
	if l.CPU.Base == 0 {
		panic(violation("unbound", "%v acquires %v after it was unbound", l, r.t))
	}
	panic(violation("wrong domain", "%v acquires %v, which is of another domain: whoever destroys it would not wait", l, r.t))
}

//go:noinline
func (r *Ref) cannotRelease(l *lwp.LWP) {
	switch {
	case r.place == 0:
		panic(violation("not held", "%v releases a reference that holds nothing", l))
	case r.place>>32 != l.CPU.Base>>32:
		panic(r.sited(violation("wrong owner", "reference to %v acquired by %s but released by %v", r.t, r.owner(), l)))
	}
	panic(violation("not held", "%v releases a reference to %v that was released already: was it copied by assignment?", l, r.t))
}

//go:noinline
func (r *Ref) cannotCopy(l *lwp.LWP, to *Ref) {
	switch {
	case to == r:
		panic(violation("copied onto itself", "%v copies a reference onto itself", l))
	case r.place == 0:
		panic(violation("not held", "%v copies a reference that holds nothing", l))
	case r.place>>32 != l.CPU.Base>>32:
		panic(r.sited(violation("wrong owner", "reference to %v acquired by %s but copied by %v", r.t, r.owner(), l)))
	}
	panic(to.sited(violation("acquired twice", "%v copies a reference to %v onto one that already holds %v for %s", l, r.t, to.t, to.owner())))
}

//go:noinline
func (t *Target) cannotDestroy(l *lwp.LWP) {
	switch {
	case t.class == nil:
		panic(violation("not initialised", "%v destroys %v", l, t))
	case l.Domain() != t.class.dom:
		panic(violation("wrong domain", "%v destroys %v, which is of another domain: it would wait for none of its holders", l, t))
	case !l.CPU.Outside():
		panic(violation("destroy inside a section", "%v destroys %v inside a read section and would wait for itself", l, t))
	case t.Held(l):
		v := violation("destroying held", "%v destroys %v, which it holds itself, and would wait for ever", l, t)
		for _, h := range l.CPU.Holdings() {
			if invariants.Enabled && h.What == t.String() {
				v.Sites = append(v.Sites, witness.Site{What: h.What + " acquired", Stack: h.Site.String()})
			}
		}
		panic(v)
	}
	panic(violation("destroyed twice", "%v destroys %v, which %s", l, t, t.fate()))
}

func (t *Target) fate() string {
	t.class.mu.Lock()
	defer t.class.mu.Unlock()
	if t.destroyer != nil {
		return fmt.Sprintf("%v is already destroying", t.destroyer)
	}
	return "is dead already"
}

// owner names the LWP that r belongs to.
func (r *Ref) owner() string { return fmt.Sprintf("LWP %d", r.place>>32) }

// sited adds where r was acquired, as far as the build remembers. It reads what belongs
// to r's owner: the program is wrong anyway, and this is its last word.
func (r *Ref) sited(v *witness.Violation) *witness.Violation {
	if !invariants.Enabled {
		return v
	}
	for _, p := range r.t.class.dom.Machine().All() {
		if p.Base>>32 != r.place>>32 {
			continue
		}
		if ch, i := p.Chunk(r.index()); ch.Site(i) != nil {
			v.Sites = append(v.Sites, witness.Site{What: "acquired", Stack: ch.Site(i).Site.String()})
		}
	}
	return v
}
