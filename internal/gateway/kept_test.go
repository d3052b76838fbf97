package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
)

// TestNothingIsKept makes thousands of requests, of every outcome, and demands that no
// memory stays with any of them.
func TestNothingIsKept(t *testing.T) {
	s, _ := newStub(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/cgi-bin/menu/get":
			_, _ = io.WriteString(w, `{"errcode":46003,"errmsg":"menu no exist"}`)
		case "/cgi-bin/broken":
			_, _ = io.WriteString(w, `{"errcode":`)
		default:
			_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
		}
	})
	ask := func(n int) {
		for i := range n {
			path := []string{"/cgi-bin/user/info?openid=o", "/cgi-bin/menu/get?n=", "/cgi-bin/broken?n=", "/cgi-bin/token?n=", "/not/known"}[i%5]
			r, err := http.NewRequest("GET", s.url+"/as/"+stubAccount+path+fmt.Sprint(i), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+s.key)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		for range 3 { // pools need two
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const more = 5000
	ask(1500)
	s.mu.Lock()
	s.log = bytes.Buffer{}
	s.mu.Unlock()
	before := heap()
	ask(more)
	s.mu.Lock()
	s.log = bytes.Buffer{}
	s.mu.Unlock()
	grown := heap() - before
	t.Logf("the heap grew by %d bytes over %d requests", grown, more)
	if grown > more*16 {
		t.Errorf("the heap grew by %d bytes over %d requests", grown, more)
	}
}
