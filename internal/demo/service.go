package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// service is a service of the company: it is told of events by webhook, and answers what
// users write. It believes what is signed and nothing else.
type service struct {
	url string

	mu      sync.Mutex
	key     string // with which events are signed
	webhook *standardwebhooks.Webhook
	away    bool
	told    []told
}

// told is one event as it came.
type told struct {
	ID, Type   string
	Authorizer string `json:"authorizerappid"`
	Data       struct {
		Fields map[string]any `json:"fields"`
	} `json:"data"`
}

// trust sets the secret with which events are signed.
func (s *service) trust(secret string) error {
	webhook, err := standardwebhooks.NewWebhook(secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key, s.webhook = secret, webhook
	return err
}

func (s *service) secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// leave has the service answer nothing but that it is away, or come back.
func (s *service) leave(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// of returns the events of a type, the oldest first.
func (s *service) of(kind string) []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.told), func(t told) bool { return t.Type != kind })
}

// since returns the events after the first n.
func (s *service) since(n int) []told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.told[n:])
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var event told
	switch {
	case s.away:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case err != nil || s.webhook == nil || s.webhook.Verify(body, r.Header) != nil:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case json.Unmarshal(body, &event) != nil || event.ID != r.Header.Get("webhook-id"):
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.told = append(s.told, event)
	if r.Header.Get("Tuoguan-Reply-By") == "" || event.Type != "wechat.text" {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"msg_type": "text", "content": fmt.Sprint("收到 / received: ", event.Data.Fields["Content"])})
}

// serviceSubscribes has the service told of everything, and asked for replies.
func (j *journey) serviceSubscribes(ctx context.Context) (string, error) {
	var others struct{ Items []struct{ ID, Name string } }
	if err := j.rest.call(ctx, http.MethodGet, "/v1/subscriptions", nil, &others); err != nil {
		return "", err
	}
	for _, other := range others.Items {
		if other.Name == "demo" { // of another demo on the same directory
			if err := j.rest.call(ctx, http.MethodDelete, "/v1/subscriptions/"+other.ID, nil, nil); err != nil {
				return "", err
			}
		}
	}
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"signing_secret"`
	}
	if err := j.rest.call(ctx, http.MethodPost, "/v1/subscriptions", map[string]any{
		"name": "demo", "reply": true, "match": map[string]any{"kinds": []string{"*"}}, "sink": map[string]any{"type": "webhook", "url": j.service.url},
	}, &made); err != nil {
		return "", err
	}
	if err := j.service.trust(made.Secret); err != nil {
		return "", err
	}
	var tested struct {
		Status int    `json:"status"`
		Error  string `json:"error"`
	}
	err := eventually(ctx, patience, func(ctx context.Context) error {
		if err := j.rest.call(ctx, http.MethodPost, "/v1/subscriptions/"+made.ID+"/test", nil, &tested); err != nil {
			return err
		}
		if tested.Status != http.StatusOK || len(j.service.of("tuoguan.test")) == 0 {
			return fmt.Errorf("a sample was answered %d %s", tested.Status, tested.Error)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return "a signed sample came through", nil
}

// serviceAway shows that what WeChat was told is stored does arrive, if later.
func (j *journey) serviceAway(ctx context.Context) (string, error) {
	const text = "anybody there?"
	arrived := func() (ids []string) {
		for _, e := range j.service.of("wechat.text") {
			if e.Data.Fields["Content"] == text {
				ids = append(ids, e.ID)
			}
		}
		return ids
	}
	j.service.leave(true)
	a, err := j.push(ctx, "/accounts/"+j.account+"/messages", map[string]any{
		"component_appid": j.component, "from": "oDemoUser", "type": "text", "content": text,
	})
	j.service.leave(false)
	if err != nil {
		return "", err
	}
	if len(a.Reply) > 0 || len(arrived()) > 0 {
		return "", errors.New("the service was away and answered all the same")
	}
	err = eventually(ctx, patience, func(ctx context.Context) error {
		if len(arrived()) > 0 {
			return nil
		}
		// The next attempt comes after some seconds, which pass in a moment here.
		if err := j.control.call(ctx, http.MethodPost, "/clock", map[string]string{"advance": "10s"}, nil); err != nil {
			return err
		}
		return errors.New("the message has not arrived")
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("WeChat had its success in %d ms, the service its message once it was back", a.latency()), nil
}
