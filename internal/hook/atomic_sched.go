//go:build sched

package hook

import (
	"sync/atomic"
	"unsafe"
)

// The words of the module, each operation a choice point.
type (
	// Uint32 is a shared 32-bit word.
	Uint32 struct{ v atomic.Uint32 }
	// Uint64 is a shared 64-bit word.
	Uint64 struct{ v atomic.Uint64 }
	// Int32 is a shared signed 32-bit word.
	Int32 struct{ v atomic.Int32 }
	// Int64 is a shared signed 64-bit word.
	Int64 struct{ v atomic.Int64 }
	// Bool is a shared flag.
	Bool struct{ v atomic.Bool }
	// Pointer is a shared pointer to a T.
	Pointer[T any] struct{ v atomic.Pointer[T] }
)

func (x *Uint32) Load() uint32         { Point(OpLoad|ofUint32, unsafe.Pointer(x)); return x.v.Load() }
func (x *Uint32) Store(n uint32)       { Point(OpStore|ofUint32, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Uint32) Swap(n uint32) uint32 { Point(OpSwap|ofUint32, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Uint32) Add(d uint32) uint32  { Point(OpAdd|ofUint32, unsafe.Pointer(x)); return x.v.Add(d) }
func (x *Uint32) CompareAndSwap(o, n uint32) bool {
	Point(OpCAS|ofUint32, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}

func (x *Uint64) Load() uint64         { Point(OpLoad|ofUint64, unsafe.Pointer(x)); return x.v.Load() }
func (x *Uint64) Store(n uint64)       { Point(OpStore|ofUint64, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Uint64) Swap(n uint64) uint64 { Point(OpSwap|ofUint64, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Uint64) Add(d uint64) uint64  { Point(OpAdd|ofUint64, unsafe.Pointer(x)); return x.v.Add(d) }
func (x *Uint64) CompareAndSwap(o, n uint64) bool {
	Point(OpCAS|ofUint64, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}

func (x *Int32) Load() int32        { Point(OpLoad|ofInt32, unsafe.Pointer(x)); return x.v.Load() }
func (x *Int32) Store(n int32)      { Point(OpStore|ofInt32, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Int32) Swap(n int32) int32 { Point(OpSwap|ofInt32, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Int32) Add(d int32) int32  { Point(OpAdd|ofInt32, unsafe.Pointer(x)); return x.v.Add(d) }
func (x *Int32) CompareAndSwap(o, n int32) bool {
	Point(OpCAS|ofInt32, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}

func (x *Int64) Load() int64        { Point(OpLoad|ofInt64, unsafe.Pointer(x)); return x.v.Load() }
func (x *Int64) Store(n int64)      { Point(OpStore|ofInt64, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Int64) Swap(n int64) int64 { Point(OpSwap|ofInt64, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Int64) Add(d int64) int64  { Point(OpAdd|ofInt64, unsafe.Pointer(x)); return x.v.Add(d) }
func (x *Int64) CompareAndSwap(o, n int64) bool {
	Point(OpCAS|ofInt64, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}

func (x *Bool) Load() bool       { Point(OpLoad|ofBool, unsafe.Pointer(x)); return x.v.Load() }
func (x *Bool) Store(n bool)     { Point(OpStore|ofBool, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Bool) Swap(n bool) bool { Point(OpSwap|ofBool, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Bool) CompareAndSwap(o, n bool) bool {
	Point(OpCAS|ofBool, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}

func (x *Pointer[T]) Load() *T     { Point(OpLoad|ofPointer, unsafe.Pointer(x)); return x.v.Load() }
func (x *Pointer[T]) Store(n *T)   { Point(OpStore|ofPointer, unsafe.Pointer(x)); x.v.Store(n) }
func (x *Pointer[T]) Swap(n *T) *T { Point(OpSwap|ofPointer, unsafe.Pointer(x)); return x.v.Swap(n) }
func (x *Pointer[T]) CompareAndSwap(o, n *T) bool {
	Point(OpCAS|ofPointer, unsafe.Pointer(x))
	return x.v.CompareAndSwap(o, n)
}
