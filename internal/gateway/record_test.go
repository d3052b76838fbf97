package gateway_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// recorder is a transport that reaches nobody and remembers where requests were to go.
type recorder struct {
	mu   sync.Mutex
	sent []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		_, _ = io.Copy(io.Discard, request.Body)
		_ = request.Body.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, request.URL.String())
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(`{"errcode":0}`)), ContentLength: 13, Request: request,
	}, nil
}

func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}
