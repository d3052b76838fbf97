package subscription

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// secrets compares secrets by what they hold.
var secrets = cmp.Comparer(func(a, b tuoguan.Secret) bool { return a.Equal(b) })

func TestRecord(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
	full := Subscription{
		ID: "sub_a", Name: "orders", State: store.SubscriptionDisabled, Problem: "gone", CreatedAt: at, UpdatedAt: at.Add(time.Hour), Version: 7,
		Spec: Spec{
			Match: Match{
				Components: []tuoguan.ComponentAppID{someComponent}, Authorizers: []tuoguan.AuthorizerAppID{someAuthorizer},
				Tags: []string{"vip"}, Kinds: []string{"text"}, Contains: []string{"退款"},
			},
			Priority: -3, Ordered: true, Concurrency: 4, Reply: true, MaxAge: 60,
			Sink: Sink{
				Type: Webhook, URL: "https://receiver.example/?a=1&b=2", Format: WeChat, Headers: map[string]string{"X-A": "<1>"}, Timeout: 5,
				Subject: "s", Exchange: "e", MaxLen: 9,
				Answer: &Reply{
					MsgType: "news", Content: "c", MediaID: "m", Title: "t", Description: "d", MusicURL: "u", HQMusicURL: "h", ThumbMediaID: "th",
					Articles: []Article{{Title: "t", Description: "d", PicURL: "p", URL: "u"}}, KfAccount: "k",
				},
			},
		},
		Secrets: Secrets{
			Signing: []SigningKey{{Key: tuoguan.NewSecret("a")}, {Key: tuoguan.NewSecret("b"), Until: at}},
			Token:   tuoguan.NewSecret("c"), EncodingAESKey: tuoguan.NewSecret("d"),
			Headers: map[string]tuoguan.Secret{"Authorization": tuoguan.NewSecret("e")},
			User:    "f", Password: tuoguan.NewSecret("g"),
		},
	}
	for name, s := range map[string]Subscription{
		"full":  full,
		"empty": {ID: "sub_b", Spec: Spec{Sink: Sink{Type: Answer}}},
	} {
		record, err := s.Record()
		if err != nil {
			t.Fatal(err)
		}
		if len(record.Secrets) == 0 {
			t.Errorf("%s: no secrets look like secrets that do not open", name)
		}
		got, err := Parse(record)
		if diff := cmp.Diff(s, got, secrets); diff != "" || err != nil {
			t.Errorf("%s: what was stored is not what is read, %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	good, err := webhook("text").Record()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*store.Subscription){
		"a wish of a newer version": func(r *store.Subscription) {
			r.Spec = strings.Replace(r.Spec, `"priority"`, `"priority_of_tomorrow"`, 1)
		},
		"a newer type of sink":     func(r *store.Subscription) { r.Spec = strings.Replace(r.Spec, `"webhook"`, `"pigeon"`, 1) },
		"no JSON":                  func(r *store.Subscription) { r.Spec = "" },
		"something after the JSON": func(r *store.Subscription) { r.Spec += "{}" },
		"secrets of a newer form":  func(r *store.Subscription) { r.Secrets = []byte(`{"hidden":"hidden"}`) },
		"secrets cut off":          func(r *store.Subscription) { r.Secrets = []byte(`{"token":"hidden`) },
	} {
		record := good
		change(&record)
		got, err := Parse(record)
		if err == nil || strings.Contains(err.Error(), "hidden") || got.ID != "" {
			t.Errorf("%s: Parse() = %v, %v", name, got.ID, err)
		}
	}
	good.Secrets = nil
	got, err := Parse(good)
	if !errors.Is(err, store.ErrQuarantined) || got.State != store.SubscriptionDisabled || got.Spec.Match.Kinds[0] != "text" {
		t.Errorf("without its secrets a subscription is %v, %v; want one that is disabled", got, err)
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^sub_[a-z2-7]{16}$`)
	if a, b := NewID(), NewID(); !form.MatchString(a) || a == b {
		t.Errorf("ids %q and %q", a, b)
	}
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var s Secrets
	first := s.RotateSigning(at, time.Hour)
	if !validKey(first) {
		t.Fatal("a new key is not valid")
	}
	second := s.RotateSigning(at, time.Hour)
	before := s
	third := s.RotateSigning(at.Add(time.Minute), time.Hour)
	for name, test := range map[string]struct {
		of   Secrets
		at   time.Time
		want []tuoguan.Secret
	}{
		"both live":           {before, at.Add(time.Hour - 1), []tuoguan.Secret{second, first}},
		"the overlap is over": {before, at.Add(time.Hour), []tuoguan.Secret{second}},
		"two at most":         {s, at.Add(time.Minute), []tuoguan.Secret{third, second}},
		"the newest stays":    {s, at.Add(1000 * time.Hour), []tuoguan.Secret{third}},
		"none":                {Secrets{}, at, nil},
	} {
		if diff := cmp.Diff(test.want, test.of.LiveKeys(test.at), secrets); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	fourth := s.RotateSigning(at.Add(2*time.Minute), 0)
	if diff := cmp.Diff([]tuoguan.Secret{fourth}, s.LiveKeys(at.Add(2*time.Minute)), secrets); diff != "" || len(s.Signing) != 1 {
		t.Errorf("without an overlap (-want +got):\n%s", diff)
	}
}
