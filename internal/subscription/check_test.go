package subscription

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

const (
	someComponent  = tuoguan.ComponentAppID("wx0000000000000c01")
	someAuthorizer = tuoguan.AuthorizerAppID("wx0000000000000a01")
	someKey        = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// webhook returns a subscription without mistakes.
func webhook(kinds ...string) Subscription {
	return Subscription{
		ID: "sub_a", Name: "orders", State: store.SubscriptionActive,
		Spec:    Spec{Match: Match{Kinds: kinds}, Sink: Sink{Type: Webhook, URL: "https://receiver.example/hook?v=1"}},
		Secrets: Secrets{Signing: []SigningKey{{Key: tuoguan.NewSecret(someKey)}}},
	}
}

// broker returns one without mistakes that goes to a broker.
func broker(kind, url string) Subscription {
	s := webhook("*")
	s.Spec.Sink = Sink{Type: kind, URL: url, Subject: "wechat.{component}.{authorizer}.{kind}"}
	s.Secrets = Secrets{User: "tuoguan", Password: tuoguan.NewSecret("p")}
	return s
}

func answering(reply *Reply) Subscription {
	s := webhook("text")
	s.Spec.Sink = Sink{Type: Answer, Answer: reply}
	s.Secrets = Secrets{}
	return s
}

func TestCheck(t *testing.T) {
	t.Parallel()
	with := func(s Subscription, change func(*Subscription)) Subscription {
		change(&s)
		return s
	}
	base := func(change func(*Subscription)) Subscription { return with(webhook("text"), change) }
	url := func(url string) Subscription { return base(func(s *Subscription) { s.Spec.Sink.URL = url }) }
	header := func(name, value string) Subscription {
		return base(func(s *Subscription) { s.Spec.Sink.Headers = map[string]string{name: value} })
	}
	wechat := func(token, key string) Subscription {
		return base(func(s *Subscription) {
			s.Spec.Sink.Format = WeChat
			s.Secrets = Secrets{Token: tuoguan.NewSecret(token), EncodingAESKey: tuoguan.NewSecret(key)}
		})
	}
	aes := strings.Repeat("k", 43)
	for name, test := range map[string]struct {
		of   Subscription
		want []string // fields
	}{
		"webhook":      {webhook("text", "event.*", "notify_3rd_wxa_auth", "tuoguan.*", "a.kind-of:tomorrow"), nil},
		"all kinds":    {webhook("*"), nil},
		"wechat":       {wechat("token1", aes), nil},
		"nats":         {broker(NATS, "nats://one:4222,tls://two:4222"), nil},
		"kafka":        {broker(Kafka, "kafka://one:9092"), nil},
		"rabbitmq":     {with(broker(RabbitMQ, "amqps://one:5671/vhost"), func(s *Subscription) { s.Spec.Sink.Exchange = "wechat" }), nil},
		"redis":        {with(broker(Redis, "redis://one:6379/1"), func(s *Subscription) { s.Spec.Sink.MaxLen = 1000 }), nil},
		"answer":       {answering(&Reply{MsgType: "text", Content: "hello"}), nil},
		"handover":     {answering(&Reply{MsgType: "transfer_customer_service"}), nil},
		"many news":    {answering(&Reply{MsgType: "news", Articles: slices.Repeat([]Article{{Title: "t"}}, 8)}), nil},
		"every number": {base(func(s *Subscription) { s.Spec.Concurrency, s.Spec.MaxAge, s.Spec.Sink.Timeout = 256, 604800, 60 }), nil},
		"headers": {base(func(s *Subscription) {
			s.Spec.Sink.Headers = map[string]string{"X-Shop": "7"}
			s.Secrets.Headers = map[string]tuoguan.Secret{"Authorization": tuoguan.NewSecret("Bearer b")}
		}), nil},

		"nothing": {Subscription{}, []string{"name", "state", "match.kinds", "sink.type"}},
		"name":    {base(func(s *Subscription) { s.Name = "two\nlines" }), []string{"name"}},
		"state":   {base(func(s *Subscription) { s.State = "asleep" }), []string{"state"}},
		"all lists": {base(func(s *Subscription) {
			s.Spec.Match = Match{
				Components: []tuoguan.ComponentAppID{someComponent, "c"}, Authorizers: []tuoguan.AuthorizerAppID{"a"}, Tags: []string{"", " b"},
				Kinds: []string{"text", "", "a*b", "two words", "**", strings.Repeat("k", 129)}, Contains: []string{"a\tb"},
			}
		}), []string{
			"match.components[1]", "match.authorizers[0]", "match.tags[0]", "match.tags[1]",
			"match.kinds[1]", "match.kinds[2]", "match.kinds[3]", "match.kinds[4]", "match.kinds[5]", "match.contains[0]",
		}},
		"ticket":            {webhook("text", "component_verify_ticket"), []string{"match.kinds[1]"}},
		"too many kinds":    {webhook(slices.Repeat([]string{"text"}, 1001)...), []string{"match.kinds"}},
		"too many texts":    {base(func(s *Subscription) { s.Spec.Match.Contains = slices.Repeat([]string{"x"}, 101) }), []string{"match.contains"}},
		"texts of an event": {with(webhook("event.*"), func(s *Subscription) { s.Spec.Match.Contains = []string{"x"} }), []string{"match.contains"}},
		"numbers": {base(func(s *Subscription) {
			s.Spec.Priority, s.Spec.Concurrency, s.Spec.MaxAge, s.Spec.Sink.Timeout = 1_000_001, 257, 59, 61
		}), []string{"concurrency", "max_age", "priority", "sink.timeout"}},
		"below": {base(func(s *Subscription) {
			s.Spec.Priority, s.Spec.Concurrency, s.Spec.MaxAge, s.Spec.Sink.Timeout = -1_000_001, -1, 604801, -1
		}), []string{"concurrency", "max_age", "priority", "sink.timeout"}},
		"type":   {base(func(s *Subscription) { s.Spec.Sink.Type = "carrier pigeon" }), []string{"sink.type"}},
		"format": {base(func(s *Subscription) { s.Spec.Sink.Format = "soap" }), []string{"sink.format"}},
		"fields of others": {base(func(s *Subscription) {
			s.Spec.Sink.Subject, s.Spec.Sink.Exchange, s.Spec.Sink.MaxLen, s.Spec.Sink.Answer = "s", "e", 1, &Reply{}
		}), []string{"sink.answer", "sink.exchange", "sink.max_len", "sink.subject"}},
		"fields of a webhook": {with(broker(NATS, "nats://h"), func(s *Subscription) {
			s.Spec.Sink.Format, s.Spec.Sink.Headers = CloudEvents, map[string]string{"X": "y"}
		}), []string{"sink.format", "sink.headers"}},
		"address of an answer": {with(answering(&Reply{MsgType: "text", Content: "x"}), func(s *Subscription) { s.Spec.Sink.URL = "https://h" }), []string{"sink.url"}},

		"no URL":                  {url(""), []string{"sink.url"}},
		"relative URL":            {url("/hook"), []string{"sink.url"}},
		"no host":                 {url("https:///hook"), []string{"sink.url"}},
		"no scheme":               {url("receiver.example/hook"), []string{"sink.url"}},
		"opaque":                  {url("https:receiver.example"), []string{"sink.url"}},
		"other scheme":            {url("ftp://receiver.example"), []string{"sink.url"}},
		"user":                    {url("https://u:p@receiver.example"), []string{"sink.url"}},
		"fragment":                {url("https://receiver.example/#a"), []string{"sink.url"}},
		"empty fragment":          {url("https://receiver.example/#"), []string{"sink.url"}},
		"port":                    {url("https://receiver.example:65536/"), []string{"sink.url"}},
		"port 0":                  {url("https://receiver.example:0/"), []string{"sink.url"}},
		"no port":                 {url("https://receiver.example:/"), []string{"sink.url"}},
		"space":                   {url("https://receiver.example/a b\n"), []string{"sink.url"}},
		"long URL":                {url("https://receiver.example/" + strings.Repeat("a", 2048)), []string{"sink.url"}},
		"two webhooks":            {url("https://a.example,https://b.example"), []string{"sink.url"}},
		"one address of a broker": {broker(NATS, "nats://one,http://two"), []string{"sink.url"}},
		"user at a broker":        {broker(RabbitMQ, "amqp://u:p@one"), []string{"sink.url"}},
		"query of a broker":       {broker(Redis, "redis://one/0?replicas=1"), nil},
		"login at a broker":       {broker(Kafka, "kafka+tls://one:9092,two:9092?sasl=plain"), nil},
		"no subject":              {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Sink.Subject = "" }), nil},
		"query at a broker":       {broker(Redis, "redis://one?skip=1"), []string{"sink.url"}},
		"query in the middle":     {broker(Kafka, "kafka://one?sasl=plain,two"), []string{"sink.url"}},
		"path at a broker":        {broker(Kafka, "kafka://one/topic"), []string{"sink.url"}},
		"path in the middle":      {broker(RabbitMQ, "amqp://one/vhost,two"), []string{"sink.url"}},
		"two of Redis":            {broker(Redis, "redis://one,two"), []string{"sink.url"}},
		"slash in a subject":      {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Sink.Subject = "a/b" }), []string{"sink.subject"}},
		"slash in a stream":       {with(broker(Redis, "redis://h"), func(s *Subscription) { s.Spec.Sink.Subject = "a/b" }), nil},
		"dots":                    {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Sink.Subject = "a..{kind}" }), []string{"sink.subject"}},
		"many addresses":          {broker(Kafka, strings.Repeat("kafka://one,", 16)+"kafka://one"), []string{"sink.url"}},
		"placeholder":             {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Sink.Subject = "a.{user}" }), []string{"sink.subject"}},
		"wildcard":                {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Sink.Subject = "a.>" }), []string{"sink.subject"}},
		"space in an exchange":    {with(broker(RabbitMQ, "amqp://h"), func(s *Subscription) { s.Spec.Sink.Exchange = "a b" }), []string{"sink.exchange"}},
		"length":                  {with(broker(Redis, "redis://h"), func(s *Subscription) { s.Spec.Sink.MaxLen = -1 }), []string{"sink.max_len"}},

		"header of ours":       {header("webhook-id", "x"), []string{"sink.headers.webhook-id"}},
		"other header of ours": {header("Tuoguan-Attempt", "1"), []string{"sink.headers.Tuoguan-Attempt"}},
		"content type":         {header("content-type", "text/plain"), []string{"sink.headers.content-type"}},
		"hop by hop":           {header("Transfer-Encoding", "chunked"), []string{"sink.headers.Transfer-Encoding"}},
		"proxy header":         {header("Proxy-Authorization", "x"), []string{"sink.headers.Proxy-Authorization"}},
		"no header name":       {header("X Y", "x"), []string{"sink.headers.X Y"}},
		"injected header":      {header("X-Y", "x\r\nHost: z"), []string{"sink.headers.X-Y"}},
		"secret header":        {header("authorization", "Bearer b"), []string{"sink.headers.authorization"}},
		"header twice":         {base(func(s *Subscription) { s.Spec.Sink.Headers = map[string]string{"X-A": "1", "x-a": "2"} }), []string{"sink.headers.x-a"}},
		"header here and there": {base(func(s *Subscription) {
			s.Spec.Sink.Headers = map[string]string{"X-A": "1"}
			s.Secrets.Headers = map[string]tuoguan.Secret{"x-a": tuoguan.NewSecret("2"), "host": tuoguan.NewSecret("h")}
		}), []string{"secrets.headers.host", "secrets.headers.x-a"}},

		"reply of a broker": {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Spec.Reply = true }), []string{"reply"}},
		"no answer":         {answering(nil), []string{"sink.answer"}},
		"answer of no type": {answering(&Reply{Content: "x"}), []string{"sink.answer"}},
		"empty answer":      {answering(&Reply{MsgType: "text"}), []string{"sink.answer"}},
		"long answer":       {answering(&Reply{MsgType: "text", Content: strings.Repeat("x", 2049)}), []string{"sink.answer"}},
		"too many news":     {answering(&Reply{MsgType: "news", Articles: slices.Repeat([]Article{{Title: "t"}}, 9)}), []string{"sink.answer"}},

		"bad signing key":   {base(func(s *Subscription) { s.Secrets.Signing = []SigningKey{{Key: tuoguan.NewSecret("whsec_c2hvcnQ=")}} }), []string{"secrets.signing[0]"}},
		"three keys":        {base(func(s *Subscription) { s.Secrets.Signing = slices.Repeat(s.Secrets.Signing, 3) }), []string{"secrets.signing"}},
		"wechat secrets":    {wechat("t", "k"), []string{"secrets.encoding_aes_key", "secrets.token"}},
		"token of another":  {base(func(s *Subscription) { s.Secrets.Token = tuoguan.NewSecret("token1") }), []string{"secrets.token"}},
		"user of a webhook": {base(func(s *Subscription) { s.Secrets.User = "u" }), []string{"secrets.user"}},
		"headers of a broker": {with(broker(NATS, "nats://h"), func(s *Subscription) {
			s.Secrets.Headers = map[string]tuoguan.Secret{"X": tuoguan.NewSecret("y")}
		}), []string{"secrets.headers"}},
		"long password": {with(broker(NATS, "nats://h"), func(s *Subscription) { s.Secrets.Password = tuoguan.NewSecret(strings.Repeat("p", 1025)) }), []string{"secrets.password"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.of.Check()
			var wrong Mistakes
			if err != nil && !errors.As(err, &wrong) {
				t.Fatalf("the error is %T", err)
			}
			var fields []string
			for _, m := range wrong {
				fields = append(fields, m.Field)
				if m.Text == "" || m.TextZH == "" {
					t.Errorf("%s is not explained in both languages", m.Field)
				}
			}
			slices.Sort(fields)
			want := slices.Sorted(slices.Values(test.want))
			if diff := cmp.Diff(want, fields); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s%v", diff, err)
			}
			if err := test.of.Spec.Check(); err == nil && slices.ContainsFunc(want, func(f string) bool { return strings.HasPrefix(f, "sink") || strings.HasPrefix(f, "match") }) {
				t.Error("Spec.Check finds nothing")
			}
		})
	}
}

// TestCheckQuotesNothing makes sure that a mistake in a secret does not show it.
func TestCheckQuotesNothing(t *testing.T) {
	t.Parallel()
	s := webhook("text")
	s.Spec.Sink.URL = "https://user:hidden@receiver.example/\x00hidden"
	s.Spec.Sink.Format = WeChat
	s.Secrets = Secrets{
		Token: tuoguan.NewSecret("hidden!"), EncodingAESKey: tuoguan.NewSecret("hidden"), Password: tuoguan.NewSecret("hidden\n"),
		Signing: []SigningKey{{Key: tuoguan.NewSecret("hidden")}}, Headers: map[string]tuoguan.Secret{"X": tuoguan.NewSecret("hidden\n")},
	}
	err := s.Check()
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("Check() = %v, want mistakes without the secrets", err)
	}
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	before := Spec{
		Match: Match{
			Components:  []tuoguan.ComponentAppID{"b", "a", "b"},
			Authorizers: nil,
			Tags:        []string{"y", "x"},
			Kinds:       []string{"text", "event.subscribe", "event.*", "event.SCAN*", "text", "event"},
			Contains:    []string{"b", "a"},
		},
		Sink: Sink{Type: Webhook, Headers: map[string]string{"x-shop": "7"}},
	}
	want := Spec{
		Match: Match{
			Components:  []tuoguan.ComponentAppID{"a", "b"},
			Authorizers: []tuoguan.AuthorizerAppID{},
			Tags:        []string{"x", "y"},
			Kinds:       []string{"event", "event.*", "text"},
			Contains:    []string{"a", "b"},
		},
		Sink: Sink{Type: Webhook, Format: CloudEvents, Headers: map[string]string{"X-Shop": "7"}},
	}
	got := before.Normalize()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Normalize (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, got.Normalize()); diff != "" {
		t.Errorf("twice is not once (-once +twice):\n%s", diff)
	}
	if before.Match.Kinds[0] != "text" || before.Match.Components[0] != "b" || before.Sink.Headers["x-shop"] == "" {
		t.Error("Normalize has changed what it was given")
	}
}
