package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/wxapi"
)

// TestDocumented compares docs/problems.md with the code, both ways.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, known []string
	for _, heading := range regexp.MustCompile(`(?m)^## (\S+)\n(\d{3})`).FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, heading[1]+" "+heading[2])
	}
	for _, p := range problem.All() {
		known = append(known, fmt.Sprint(p.Name(), " ", p.Status))
	}
	slices.Sort(documented)
	slices.Sort(known)
	if diff := cmp.Diff(known, documented); diff != "" {
		t.Errorf("docs/problems.md differs from the code:\n%s", diff)
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	chinese := regexp.MustCompile(`\p{Han}`)
	for _, p := range append(problem.All(), problem.IdempotencyRunning) {
		if p.Title == "" || p.Detail == "" || !chinese.MatchString(p.DetailZh) || chinese.MatchString(p.Detail+p.Title) {
			t.Errorf("%s lacks a language: %q %q %q", p.Name(), p.Title, p.Detail, p.DetailZh)
		}
		if p.Status < 400 || p.Status > 599 || p.Status == 503 && p.RetryAfter == 0 {
			t.Errorf("%s has status %d and no Retry-After", p.Name(), p.Status)
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want problem.Problem
	}{
		"itself":             {problem.MissingScope, problem.MissingScope},
		"unknown account":    {keeper.ErrUnknownAuthorizer, problem.UnknownAuthorizer},
		"refresh needed":     {keeper.ErrRefreshNeeded, problem.RefreshNeeded},
		"marked as storage":  {problem.Storage(errors.New("connection refused")), problem.StorageUnavailable},
		"store unavailable":  {store.ErrUnavailable, problem.StorageUnavailable},
		"refused":            {&wxapi.APIError{Op: "x", Code: 48001}, problem.WeChatRefused},
		"unusable reply":     {&wxapi.ReplyError{Op: "x", Reason: "html"}, problem.WeChatNonsense},
		"reply lost":         {&wxapi.TransportError{Op: "x", Sent: true, Err: errors.New("reset")}, problem.WeChatUnanswered},
		"never sent":         {&wxapi.TransportError{Op: "x", Err: errors.New("refused")}, problem.WeChatUnanswered},
		"given up":           {context.DeadlineExceeded, problem.Unavailable},
		"anything else":      {errors.New("surprise"), problem.InternalError},
		"of a storage, none": {problem.Storage(nil), problem.InternalError},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.err
			if err != nil {
				err = fmt.Errorf("deeper: %w", err)
			}
			if got := problem.Of(err); !errors.Is(got, tt.want) {
				t.Errorf("got %s, want %s", got.Name(), tt.want.Name())
			}
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/v1/x", nil)
	refusal := &wxapi.APIError{Op: "api_authorizer_token", Code: 61004, RID: "6590-1", Message: "access clientip is not registered, ip: 203.0.113.7"}
	problem.Write(w, r, slog.New(slog.NewTextHandler(&log, nil)), fmt.Errorf("token: %w", refusal))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != 502 || got["errcode"] != 61004.0 || got["rid"] != "6590-1" || got["type"] != problem.Base+"wechat-refused" ||
		!strings.Contains(got["detail_zh"].(string), "203.0.113.7") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v %v", w.Code, w.Header(), got)
	}
	if !strings.Contains(log.String(), "61004") {
		t.Errorf("the log is %q", log.String())
	}
	log.Reset()
	w = httptest.NewRecorder()
	problem.Write(w, r, slog.New(slog.NewTextHandler(&log, nil)), problem.RateLimited.After(7))
	if w.Code != 429 || w.Header().Get("Retry-After") != "7" || log.Len() != 0 {
		t.Errorf("got %d %v %q", w.Code, w.Header(), log.String())
	}
}
