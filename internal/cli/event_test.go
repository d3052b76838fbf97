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

func TestEventFilter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	e := client.Event{ID: "1", Kind: "event.subscribe", AuthorizerAppID: "wxa", ComponentAppID: "wxc", ReceivedAt: &at}
	for name, tt := range map[string]struct {
		filter eventFilter
		takes  bool
	}{
		"none":            {eventFilter{}, true},
		"kind":            {eventFilter{kind: "event.subscribe"}, true},
		"other kind":      {eventFilter{kind: "event.sub"}, false},
		"beginning":       {eventFilter{kind: "event.*"}, true},
		"other beginning": {eventFilter{kind: "text*"}, false},
		"all":             {eventFilter{kind: "*"}, true},
		"account":         {eventFilter{authorizer: "wxa", component: "wxc"}, true},
		"other account":   {eventFilter{authorizer: "wxb"}, false},
		"since":           {eventFilter{since: at}, true},
		"since later":     {eventFilter{since: at.Add(1)}, false},
		"until":           {eventFilter{until: at}, false},
		"until later":     {eventFilter{until: at.Add(1)}, true},
	} {
		if got := tt.filter.takes(e); got != tt.takes {
			t.Errorf("%s: takes it: %t", name, got)
		}
	}
}

// newestServer lists events newest first, of which the last came after it was asked first.
type newestServer struct {
	last  int
	asked int
}

func (s *newestServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.asked++; s.asked > 1 {
		s.last++
	}
	var page struct {
		Items []client.Event `json:"items"`
	}
	for id := s.last; id > 0 && r.URL.Query().Get("order") == "desc"; id-- {
		page.Items = append(page.Items, client.Event{ID: strconv.Itoa(id)})
	}
	raw, err := json.Marshal(page)
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(string(raw))), Request: r}, err
}

// What comes while the last events are being read is left for who follows.
func TestLastEvents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		last, n int
		want    []string
		end     string
	}{
		"some": {9, 3, []string{"7", "8", "9"}, "9"},
		"all":  {2, 3, []string{"1", "2"}, "2"},
		"none": {9, 0, nil, "9"},
		"void": {0, 3, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, err := client.New(client.Config{APIKey: tuoguan.NewSecret("key"), HTTPClient: &http.Client{Transport: &newestServer{last: tt.last}}, Patience: -1})
			if err != nil {
				t.Fatal(err)
			}
			last, end, err := lastEvents(t.Context(), api, eventFilter{}, tt.n)
			var ids []string
			for _, e := range last {
				ids = append(ids, e.ID)
			}
			if d := cmp.Diff(tt.want, ids); d != "" || end != tt.end || err != nil {
				t.Errorf("ends at %q, %v: %s", end, err, d)
			}
		})
	}
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
