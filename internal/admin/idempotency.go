package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// keptFor is how long the answer to a request with an Idempotency-Key is kept.
	keptFor = 24 * time.Hour
	// claimedFor is longer than any request takes. After it a request whose process has
	// died may be made again.
	claimedFor = 2 * time.Minute
	// maxIdempotencyKey bounds the key in bytes.
	maxIdempotencyKey = 255
)

// answered is what is kept of a request with an Idempotency-Key. Status is 0 while it
// is under way.
type answered struct {
	Request []byte      `json:"request"` // hash of it
	Status  int         `json:"status"`
	Header  http.Header `json:"header"`
	Body    []byte      `json:"body"`
}

// once serves a request at most once: when it comes again with the same
// Idempotency-Key, the answer is the first one. An answer that says that the server
// could not do it now is not kept, so that the caller can try again.
func (a *API) once(w http.ResponseWriter, r *http.Request, c *call, serve http.HandlerFunc) {
	keys := r.Header["Idempotency-Key"]
	if len(keys) != 1 || keys[0] == "" || len(keys[0]) > maxIdempotencyKey {
		a.fail(w, r, problem.BadRequest.Field("Idempotency-Key", "must be one text of at most 255 bytes", "须为一个不超过 255 字节的文本"))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			err = problem.BodyTooLarge
		} else {
			err = problem.BadRequest.With("the body cannot be read", "无法读取请求体")
		}
		a.fail(w, r, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.RequestURI()), []byte(r.Header.Get("If-Match")), body} {
		sum := sha256.Sum256(part)
		digest.Write(sum[:])
	}
	request := digest.Sum(nil)
	name := sha256.Sum256([]byte(keys[0]))
	key := "idempotency/" + c.KeyID + "/" + hex.EncodeToString(name[:])

	first, err := a.claim(r.Context(), key, request)
	switch {
	case err != nil:
		a.fail(w, r, err)
	case first != nil:
		for name, values := range first.Header {
			w.Header()[name] = values
		}
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(first.Status)
		_, _ = w.Write(first.Body) // the caller went away
	default:
		a.keep(w, r, key, request, serve)
	}
}

// claim takes an Idempotency-Key for a request, or returns the answer that was given to
// the same request before.
func (a *API) claim(ctx context.Context, key string, request []byte) (*answered, error) {
	stored, err := a.cfg.Values.Value(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		claim, err := json.Marshal(answered{Request: request})
		if err != nil {
			return nil, err
		}
		err = a.cfg.Values.PutValue(ctx, store.Value{Key: key, Data: claim, ExpiresAt: a.cfg.Clock.Now().Add(claimedFor)})
		if errors.Is(err, store.ErrConflict) {
			return nil, problem.IdempotencyRunning
		}
		return nil, problem.Storage(err)
	case err != nil:
		return nil, problem.Storage(err)
	}
	var first answered
	if err := json.Unmarshal(stored.Data, &first); err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(first.Request, request):
		return nil, problem.IdempotencyConflict
	case first.Status == 0:
		return nil, problem.IdempotencyRunning
	}
	return &first, nil
}

// keep serves a request and keeps the answer before it is given.
func (a *API) keep(w http.ResponseWriter, r *http.Request, key string, request []byte, serve http.HandlerFunc) {
	given := &recorder{header: make(http.Header), status: http.StatusOK}
	finished := false
	defer func() {
		// The caller may be gone, but what has happened has happened.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
		defer cancel()
		var err error
		if finished && given.status < 500 && given.status != http.StatusTooManyRequests {
			err = a.remember(ctx, key, answered{Request: request, Status: given.status, Header: given.header, Body: given.body.Bytes()})
		} else if _, err = a.cfg.Values.TakeValue(ctx, key); errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err != nil {
			a.cfg.Logger.WarnContext(ctx, "answer to a request with an Idempotency-Key not kept", "route", r.Pattern, "error", err)
		}
		if finished {
			given.copyTo(w)
		}
	}()
	serve(given, r)
	finished = true
}

func (a *API) remember(ctx context.Context, key string, given answered) error {
	data, err := json.Marshal(given)
	if err != nil {
		return err
	}
	return a.cfg.Values.PutValue(ctx, store.Value{Key: key, Data: data, ExpiresAt: a.cfg.Clock.Now().Add(keptFor), Version: 1})
}

// recorder is a response that is not given yet.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func (r *recorder) copyTo(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body.Bytes()) // the caller went away
}
