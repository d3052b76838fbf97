package gateway_test

import (
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

func expiryText(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// endless is n bytes that nobody keeps.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.left))
	clear(p[:n])
	e.left -= int64(n)
	return n, nil
}

// A hundred megabytes pass through in both directions in memory that does not grow.
func TestLargeBodies(t *testing.T) {
	const size = 100 << 20
	var received atomic.Int64
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		received.Store(n)
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, &endless{size})
	})
	highest := func(stop chan struct{}, done chan uint64) {
		var most uint64
		var m runtime.MemStats
		for {
			select {
			case <-stop:
				done <- most
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, done := make(chan struct{}), make(chan uint64)
	go highest(stop, done)

	for _, known := range []bool{true, false} {
		r, err := http.NewRequest("POST", s.url+"/as/"+stubAccount+"/cgi-bin/material/get_material", &endless{size})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		if known {
			r.ContentLength = size
		}
		r.Header.Set("Authorization", "Bearer "+s.key)
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil || n != size || received.Load() != size || response.StatusCode != 200 {
			t.Errorf("status %d, %d bytes sent, %d received: %v", response.StatusCode, received.Load(), n, err)
		}
		if c := s.lastCall(); c.Received == 0 && c.Sent == 0 {
			t.Errorf("observed %+v", c)
		}
	}
	close(stop)
	if most := <-done; most > before.HeapAlloc+16<<20 {
		t.Errorf("the heap grew from %d to %d KiB", before.HeapAlloc>>10, most>>10)
	} else {
		t.Logf("the heap was at most %d KiB, %d KiB before", most>>10, before.HeapAlloc>>10)
	}
}

// A caller who goes away ends the call to WeChat; a reply that breaks off is not
// passed on as a whole one.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		if r.URL.Path != "/wxa/slow" {
			if r.URL.Path == "/wxa/broken" {
				w.Header().Set("Content-Length", "1000000")
			}
			_, _ = io.Copy(w, &endless{200_000})
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(w, &endless{200_000})
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	})
	for _, path := range []string{"/wxa/broken", "/wxa/broken_chunks"} {
		if a, err := s.try("GET", "/as/"+stubAccount+path, nil, nil); err == nil {
			t.Errorf("%s: a reply that broke off arrived as %d bytes", path, len(a.body))
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/as/"+stubAccount+"/wxa/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the call to WeChat went on")
	}
}
