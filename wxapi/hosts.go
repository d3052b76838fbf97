package wxapi

import (
	"net/url"
	"sync"
	"time"
)

// preferFor is how long the base URL that helped out stays first. Then one call
// tries the list in its own order again.
const preferFor = time.Minute

// hosts is the ordered list of base URLs and the memory of which one works.
type hosts struct {
	bases []*url.URL

	mu        sync.Mutex
	preferred int // index in bases
	until     time.Time
}

// order returns the base URLs in the order in which to try them.
func (h *hosts) order() []*url.URL {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.preferred
	if first > 0 && !time.Now().Before(h.until) {
		// This call finds out whether the list's first is well again; the others stay
		// where they are until it knows.
		first = 0
		h.until = time.Now().Add(preferFor)
	}
	order := append(make([]*url.URL, 0, len(h.bases)), h.bases[first])
	for i, base := range h.bases {
		if i != first {
			order = append(order, base)
		}
	}
	return order
}

// answered makes base the first. It does nothing if it is that already, so that
// the list's own order is tried again in time.
func (h *hosts) answered(base *url.URL) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.bases {
		if h.bases[i] == base && i != h.preferred {
			h.preferred, h.until = i, time.Now().Add(preferFor)
		}
	}
}
