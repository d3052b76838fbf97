package wxapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/wxapi"
)

// accounts names n accounts from a number on.
func accounts(from, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("wx%016d", from+i)
	}
	return ids
}

// lister serves a list that may change before each request.
type lister struct {
	total    int
	list     []string
	change   func(request int, l *lister)
	requests int
}

func (l *lister) RoundTrip(r *http.Request) (*http.Response, error) {
	l.requests++
	if l.change != nil {
		l.change(l.requests, l)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var asked struct{ Offset, Count int }
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, err
	}
	if asked.Count > 500 {
		return reply(http.StatusOK, `{"errcode":40170}`)
	}
	type entry struct {
		AppID string `json:"authorizer_appid"`
	}
	page := []entry{}
	for i := asked.Offset; i < min(asked.Offset+asked.Count, len(l.list)); i++ {
		page = append(page, entry{l.list[i]})
	}
	text, err := json.Marshal(map[string]any{"total_count": l.total, "list": page})
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, string(text))
}

func TestAllAuthorizers(t *testing.T) {
	t.Parallel()
	all := accounts(0, 1200)
	tests := []struct {
		name     string
		list     lister
		want     []string
		requests int
		err      error
	}{
		{"none", lister{}, nil, 1, nil},
		{"one page", lister{total: 3, list: all[:3]}, all[:3], 1, nil},
		{"exactly one page", lister{total: 500, list: all[:500]}, all[:500], 1, nil},
		{"three pages", lister{total: 1200, list: all}, all, 3, nil},
		{"twice in the list", lister{total: 4, list: []string{all[0], all[1], all[0], all[2]}}, all[:3], 2, wxapi.ErrListIncomplete},
		{"one more while walking", lister{total: 1199, list: all[:1199], change: func(n int, l *lister) {
			if n == 3 {
				// The newest comes first, so that each page begins one account later.
				l.list, l.total = append([]string{all[1199]}, all[:1199]...), 1200
			}
		}}, all, 6, nil},
		{"one less while walking", lister{total: 1200, list: all, change: func(n int, l *lister) {
			if n == 2 {
				// Everything moves up, and the 500th is skipped in this walk.
				l.list, l.total = all[1:], 1199
			}
		}}, all, 6, nil},
		{"never holds still", lister{total: 1200, list: all, change: func(n int, l *lister) { l.total = 1200 + n }}, all, 12, wxapi.ErrListIncomplete},
		{"says more than it shows", lister{total: 700, list: all[:600]}, all[:600], 6, wxapi.ErrListIncomplete},
		{"says less than it shows", lister{total: 1, list: all[:3]}, all[:3], 1, nil},
		{"absurd total", lister{total: 1 << 40, list: all[:10]}, all[:10], 4, wxapi.ErrListIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: &tt.list}})
			got := map[string]bool{}
			var failure error
			for item, err := range client.AllAuthorizers(t.Context(), component) {
				if failure != nil {
					t.Fatal("something follows the error")
				}
				if err != nil {
					failure = err
					continue
				}
				if got[string(item.Authorizer)] {
					t.Errorf("%s comes twice", item.Authorizer)
				}
				got[string(item.Authorizer)] = true
			}
			if !errors.Is(failure, tt.err) {
				t.Errorf("error %v, want %v", failure, tt.err)
			}
			want := map[string]bool{}
			for _, id := range tt.want {
				want[id] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			if tt.list.requests != tt.requests {
				t.Errorf("%d requests, want %d", tt.list.requests, tt.requests)
			}
		})
	}
}

func TestAllAuthorizersStops(t *testing.T) {
	t.Parallel()
	l := lister{total: 1200, list: accounts(0, 1200)}
	client := newClient(t, wxapi.Config{Tokens: newTokens(), HTTPClient: &http.Client{Transport: &l}})
	for range client.AllAuthorizers(t.Context(), component) {
		break
	}
	if l.requests != 1 {
		t.Errorf("%d requests after a break in the first page", l.requests)
	}

	p := newPlatform(t, says(http.StatusOK, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`))
	var items []tuoguan.AuthorizerAppID
	var failure error
	for item, err := range clientOf(t, p).AllAuthorizers(t.Context(), component) {
		items, failure = append(items, item.Authorizer), err
	}
	if len(items) != 1 || !errors.Is(failure, wxapi.ErrQuota) {
		t.Errorf("%v, %v; want only the error", items, failure)
	}
}
