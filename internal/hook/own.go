package hook

// A word that one goroutine alone stores to need not be a choice point when that goroutine
// loads it, nor when it stores before anybody else can reach the word: no schedule could
// tell.

// LoadOwn is Load by whom alone stores to the word.
func (x *Uint32) LoadOwn() uint32 { return x.v.Load() }

// StoreOwn is Store while nobody else can reach the word.
func (x *Uint32) StoreOwn(n uint32) { x.v.Store(n) }

// LoadOwn is Load by whom alone stores to the pointer.
func (x *Pointer[T]) LoadOwn() *T { return x.v.Load() }
