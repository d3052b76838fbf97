package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/client"
)

// eventServer has events with the ids 1 to last, every third of the kind "text".
type eventServer struct {
	mu      sync.Mutex
	last    int
	down    bool
	cursors []string
}

func (s *eventServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errors.New("connection refused")
	}
	cursor := r.URL.Query().Get("cursor")
	s.cursors = append(s.cursors, cursor)
	after, _ := strconv.Atoi(cursor)
	var page struct {
		Items      []client.Event `json:"items"`
		NextCursor string         `json:"next_cursor"`
	}
	for id := after + 1; id <= s.last; id++ {
		if len(page.Items) == 2 {
			page.NextCursor = strconv.Itoa(id - 1)
			break
		}
		kind := "authorized"
		if id%3 == 0 {
			kind = "text"
		}
		page.Items = append(page.Items, client.Event{ID: strconv.Itoa(id), Kind: kind})
	}
	raw, err := json.Marshal(page)
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, err
}

// Who follows sees every event once, in order, also those that came while the server
// was away.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &eventServer{last: 7}
		api, err := client.New(client.Config{APIKey: tuoguan.NewSecret("key"), HTTPClient: &http.Client{Transport: s}, Patience: -1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		var seen []string
		ended := make(chan error, 1)
		go func() {
			feed := &eventFeed{api: api, filter: eventFilter{kind: "text"}, follow: true}
			ended <- feed.each(ctx, &progress{}, func(e client.Event) (bool, error) {
				seen = append(seen, e.ID)
				return true, nil
			})
		}()
		for _, step := range []struct {
			last int
			down bool
		}{{7, false}, {9, false}, {9, true}, {13, true}, {13, false}} {
			s.mu.Lock()
			s.last, s.down = step.last, step.down
			s.mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		interrupt()
		if err := <-ended; err != nil {
			t.Errorf("an interruption ends it with %v", err)
		}
		if d := cmp.Diff([]string{"3", "6", "9", "12"}, seen); d != "" {
			t.Error(d)
		}
		if at := slices.Index(s.cursors, "7"); at < 0 || slices.Contains(s.cursors[at:], "6") {
			t.Errorf("it goes on where it was by the cursors %v", s.cursors)
		}
	})
}

func TestFollowFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api, err := client.New(client.Config{APIKey: tuoguan.NewSecret("key"), HTTPClient: &http.Client{Transport: &eventServer{down: true}}, Patience: -1})
		if err != nil {
			t.Fatal(err)
		}
		feed := &eventFeed{api: api, follow: true}
		if err := feed.each(t.Context(), &progress{}, nil); !errors.Is(err, client.ErrUnavailable) {
			t.Errorf("a server that was never there: %v", err)
		}
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"茶馆 Tea 🍵":           "茶馆 Tea 🍵",
		"a\x1b[31mb\r\nc\td": "a [31mb  c d",
		"a\u202eb\u200b":     "a b ",
	} {
		if got := plain(given); got != want {
			t.Errorf("plain(%q) = %q, want %q", given, got, want)
		}
	}
	if got := lines("a\n\tb\x1b\x07"); got != "a\n\tb  " {
		t.Errorf("lines keeps %q", got)
	}
}
