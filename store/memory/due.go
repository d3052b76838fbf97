package memory

import (
	"container/heap"
	"time"

	"github.com/tuoguan/tuoguan/store"
)

// dueHeap orders authorizers by RefreshAt, the earliest first, so that asking what
// is due costs nothing while nothing is.
type dueHeap []*authorizer

func (h dueHeap) Len() int { return len(h) }

func (h dueHeap) Less(i, j int) bool {
	if c := h[i].RefreshAt.Compare(h[j].RefreshAt); c != 0 {
		return c < 0
	}
	return compare(h[i].Authorization, h[j].Authorization) < 0
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements [heap.Interface]; call put.
func (h *dueHeap) Push(x any) {
	a := x.(*authorizer)
	a.at = len(*h)
	*h = append(*h, a)
}

// Pop implements [heap.Interface]; call put.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	a.at = -1
	return a
}

// put brings an authorizer to where its RefreshAt belongs.
func (h *dueHeap) put(a *authorizer) {
	switch {
	case a.RefreshAt.IsZero() && a.at >= 0:
		heap.Remove(h, a.at)
	case a.RefreshAt.IsZero():
	case a.at >= 0:
		heap.Fix(h, a.at)
	default:
		heap.Push(h, a)
	}
}

// first lists what is due and free in order, leaving it in place: below an element
// of the heap that is not due nothing is.
func (h dueHeap) first(at time.Time, limit int, free func(*authorizer) bool) []store.Due {
	var all []store.Due
	next := frontier{heap: h}
	next.add(0)
	for len(next.indexes) > 0 && len(all) < limit {
		i := heap.Pop(&next).(int)
		if h[i].RefreshAt.After(at) {
			break
		}
		if free(h[i]) {
			all = append(all, store.Due{Authorization: h[i].Authorization, RefreshAt: h[i].RefreshAt})
		}
		next.add(2*i + 1)
		next.add(2*i + 2)
	}
	return all
}

// frontier is a heap of indexes into a dueHeap: those of which the next is one.
type frontier struct {
	heap    dueHeap
	indexes []int
}

func (f *frontier) add(i int) {
	if i < len(f.heap) {
		heap.Push(f, i)
	}
}

func (f *frontier) Len() int           { return len(f.indexes) }
func (f *frontier) Less(i, j int) bool { return f.heap.Less(f.indexes[i], f.indexes[j]) }
func (f *frontier) Swap(i, j int)      { f.indexes[i], f.indexes[j] = f.indexes[j], f.indexes[i] }

// Push implements [heap.Interface]; call add.
func (f *frontier) Push(x any) { f.indexes = append(f.indexes, x.(int)) }

// Pop implements [heap.Interface].
func (f *frontier) Pop() any {
	last := len(f.indexes) - 1
	i := f.indexes[last]
	f.indexes = f.indexes[:last]
	return i
}
