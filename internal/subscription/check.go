package subscription

import (
	"fmt"
	"maps"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/event"
	"github.com/tuoguan/tuoguan/push"
	"github.com/tuoguan/tuoguan/store"
)

// Mistake is one thing that is wrong with a subscription.
type Mistake struct {
	Field  string // as in the JSON of [Spec], such as match.kinds[0]; or name, state or secrets.…
	Text   string
	TextZH string
}

// Mistakes are all things that are wrong with a subscription.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	texts := make([]string, len(m))
	for i, one := range m {
		texts[i] = one.Field + ": " + one.Text
	}
	return strings.Join(texts, "; ")
}

func (m *Mistakes) add(field, text, textZH string) {
	*m = append(*m, Mistake{Field: field, Text: text, TextZH: textZH})
}

// orNil returns the mistakes as an error, if there are any.
func (m Mistakes) orNil() error {
	if len(m) == 0 {
		return nil
	}
	return m
}

// Bounds of what a subscription may say. Sizes are in bytes.
const (
	maxName      = 128
	maxEntries   = 1000 // of a list in Match
	maxKind      = 128
	maxTag       = 64
	maxContains  = 100 // entries, since each is looked for in each text
	maxText      = 256 // of an entry of Contains
	maxPriority  = 1_000_000
	maxURL       = 2048
	maxAddresses = 16 // of a broker
	maxHeaders   = 32
	maxHeader    = 2048
	maxSubject   = 249 // what Kafka takes, and the least of all
	maxExchange  = 255
	maxLen       = 1_000_000_000
	maxSecret    = 1024

	minTimeout, maxTimeout         = 1, 60
	minConcurrency, maxConcurrency = 1, 256
	minMaxAge, maxMaxAge           = 60, 7 * 24 * 60 * 60
)

// What can be said of a sink, besides its type.
const (
	urlField = 1 << iota
	formatField
	headersField
	timeoutField
	subjectField
	exchangeField
	maxLenField
	answerField
)

// sinkType is what can be said of a type of sink.
type sinkType struct {
	fields    int
	schemes   []string // of its URL
	addresses int      // of a broker, at most; 0: it is none
	path      bool     // whether the last address of a broker may have one
	query     string   // what the last address of a broker may say behind "?"
	subject   string   // what a subject may hold besides letters, digits and . _ -
}

var sinkTypes = map[string]*sinkType{
	Webhook: {fields: urlField | formatField | headersField | timeoutField, schemes: []string{"https", "http"}},
	Answer:  {fields: answerField},
	NATS: {
		fields:  urlField | subjectField | timeoutField,
		schemes: []string{"nats", "tls", "nats+tls"}, addresses: maxAddresses,
	},
	Kafka: {
		fields:  urlField | subjectField | timeoutField,
		schemes: []string{"kafka", "kafka+tls"}, addresses: maxAddresses, query: "sasl",
	},
	RabbitMQ: {
		fields:  urlField | subjectField | exchangeField | timeoutField,
		schemes: []string{"amqp", "amqps"}, addresses: maxAddresses, path: true, subject: ":/",
	},
	Redis: {
		fields:  urlField | subjectField | maxLenField | timeoutField,
		schemes: []string{"redis", "rediss"}, addresses: 1, path: true, query: "replicas", subject: ":/",
	},
}

var (
	appIDPattern = regexp.MustCompile(`^wx[0-9A-Za-z]{16}$`)
	kindPattern  = regexp.MustCompile(`^[0-9A-Za-z_.:-]*\*?$`)
	tokenPattern = regexp.MustCompile(`^[0-9A-Za-z]{3,32}$`)
	aesPattern   = regexp.MustCompile(`^[0-9A-Za-z]{43}$`)
	placeholders = strings.NewReplacer("{component}", "-", "{authorizer}", "-", "{kind}", "-")
)

// Check reports all mistakes at once, in what is wanted and in the secrets that this
// needs. The error, if any, is [Mistakes].
func (s Subscription) Check() error {
	var wrong Mistakes
	if !isLine(s.Name, maxName) {
		wrong.add("name", "must be a line of at most 128 bytes", "须为单行且不超过 128 字节")
	}
	switch s.State {
	case store.SubscriptionActive, store.SubscriptionPaused, store.SubscriptionDisabled:
	default:
		wrong.add("state", "must be active, paused or disabled", "须为 active、paused 或 disabled")
	}
	s.Spec.check(&wrong)
	s.Secrets.check(&wrong, s.Spec)
	return wrong.orNil()
}

// Check reports all mistakes at once. The error, if any, is [Mistakes].
func (s Spec) Check() error {
	var wrong Mistakes
	s.check(&wrong)
	return wrong.orNil()
}

func (s Spec) check(wrong *Mistakes) {
	s.Match.check(wrong)
	s.Sink.check(wrong)
	between(wrong, "priority", s.Priority, -maxPriority, maxPriority, false)
	between(wrong, "concurrency", s.Concurrency, minConcurrency, maxConcurrency, true)
	between(wrong, "max_age", s.MaxAge, minMaxAge, maxMaxAge, true)
	if s.Reply && s.Sink.Type != Webhook {
		wrong.add("reply", "only a webhook can answer", "仅 webhook 可用于被动回复")
	}
}

// between checks a number; 0 may stand for the default.
func between(wrong *Mistakes, field string, n, least, most int, orDefault bool) {
	if n == 0 && orDefault || n >= least && n <= most {
		return
	}
	text, textZH := fmt.Sprintf("must be from %d to %d", least, most), fmt.Sprintf("取值须为 %d 至 %d", least, most)
	if orDefault {
		text, textZH = text+", or 0 for the default", textZH+"，0 表示默认值"
	}
	wrong.add(field, text, textZH)
}

func (m Match) check(wrong *Mistakes) {
	each(wrong, "match.components", m.Components, maxEntries, func(id tuoguan.ComponentAppID) bool { return appIDPattern.MatchString(string(id)) },
		"is not an AppID", "不是有效的 AppID")
	each(wrong, "match.authorizers", m.Authorizers, maxEntries, func(id tuoguan.AuthorizerAppID) bool { return appIDPattern.MatchString(string(id)) },
		"is not an AppID", "不是有效的 AppID")
	each(wrong, "match.tags", m.Tags, maxEntries, func(tag string) bool { return isLine(tag, maxTag) },
		"must be a line of at most 64 bytes", "须为单行且不超过 64 字节")
	if len(m.Kinds) == 0 {
		wrong.add("match.kinds", `at least one is required; "*" is all`, `至少需要一项，"*" 表示全部`)
	}
	each(wrong, "match.kinds", m.Kinds, maxEntries, func(kind string) bool { return kind != "" && len(kind) <= maxKind && kindPattern.MatchString(kind) },
		`must be a kind such as text or event.subscribe, or its beginning and "*" at the end`, `须为 text、event.subscribe 形式的类型，末尾可用 "*" 表示前缀`)
	for i, kind := range m.Kinds {
		if !event.Deliverable(kind) {
			wrong.add(fmt.Sprintf("match.kinds[%d]", i), "is a credential of the component and never delivered", "属于第三方平台凭据，不会投递")
		}
	}
	each(wrong, "match.contains", m.Contains, maxContains, func(text string) bool { return isLine(text, maxText) },
		"must be a line of at most 256 bytes", "须为单行且不超过 256 字节")
	if len(m.Contains) > 0 && !slices.ContainsFunc(m.Kinds, func(kind string) bool { return covers(kind, "text") }) {
		wrong.add("match.contains", "restricts to texts, and match.kinds does not include text", "仅适用于文本消息，而 match.kinds 不包含 text")
	}
}

// each names every entry of a list that is not valid.
func each[T any](wrong *Mistakes, field string, entries []T, most int, valid func(T) bool, text, textZH string) {
	if len(entries) > most {
		wrong.add(field, fmt.Sprintf("are too many, at most %d", most), fmt.Sprintf("数量过多，至多 %d 项", most))
		return
	}
	for i, entry := range entries {
		if !valid(entry) {
			wrong.add(fmt.Sprintf("%s[%d]", field, i), text, textZH)
		}
	}
}

func isLine(text string, size int) bool {
	return text != "" && len(text) <= size && utf8.ValidString(text) && strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, unicode.IsControl)
}

func (s Sink) check(wrong *Mistakes) {
	kind := sinkTypes[s.Type]
	if kind == nil {
		types := strings.Join(slices.Sorted(maps.Keys(sinkTypes)), ", ")
		wrong.add("sink.type", "must be one of "+types, "须为以下之一："+types)
		return
	}
	s.checkFields(wrong, kind.fields)
	if kind.fields&urlField != 0 {
		s.checkURL(wrong, kind)
	}
	if kind.fields&formatField != 0 && s.Format != CloudEvents && s.Format != WeChat && s.Format != "" {
		wrong.add("sink.format", "must be cloudevents or wechat", "须为 cloudevents 或 wechat")
	}
	between(wrong, "sink.timeout", s.Timeout, minTimeout, maxTimeout, true)
	s.checkHeaders(wrong)
	if kind.fields&subjectField != 0 {
		s.checkSubject(wrong, kind.subject)
	}
	if s.MaxLen < 0 || s.MaxLen > maxLen {
		wrong.add("sink.max_len", "must be from 1 to 1000000000, or 0 to keep all", "取值须为 1 至 1000000000，0 表示全部保留")
	}
	if kind.fields&answerField != 0 {
		s.Answer.checkAnswer(wrong)
	}
}

// checkFields refuses what does not count for the type, since whoever says it expects
// something of it.
func (s Sink) checkFields(wrong *Mistakes, allowed int) {
	for _, f := range []struct {
		bit  int
		name string
		used bool
	}{
		{urlField, "url", s.URL != ""},
		{formatField, "format", s.Format != ""},
		{headersField, "headers", len(s.Headers) > 0},
		{timeoutField, "timeout", s.Timeout != 0},
		{subjectField, "subject", s.Subject != ""},
		{exchangeField, "exchange", s.Exchange != ""},
		{maxLenField, "max_len", s.MaxLen != 0},
		{answerField, "answer", s.Answer != nil},
	} {
		if f.used && allowed&f.bit == 0 {
			wrong.add("sink."+f.name, "means nothing for the type "+s.Type, "不适用于类型 "+s.Type)
		}
	}
}

func (s Sink) checkURL(wrong *Mistakes, kind *sinkType) {
	if s.URL == "" {
		wrong.add("sink.url", "is required", "必填")
		return
	}
	if len(s.URL) > maxURL {
		wrong.add("sink.url", "must be at most 2048 bytes", "不得超过 2048 字节")
		return
	}
	if kind.addresses == 0 {
		checkAddress(wrong, s.URL, kind.schemes)
		return
	}
	addresses := strings.Split(s.URL, ",")
	if len(addresses) > kind.addresses {
		wrong.add("sink.url", fmt.Sprintf("must be at most %d addresses", kind.addresses), fmt.Sprintf("地址不得超过 %d 个", kind.addresses))
		return
	}
	scheme, _, _ := strings.Cut(addresses[0], "://")
	for i, address := range addresses {
		if i > 0 && !strings.Contains(address, "://") {
			address = scheme + "://" + address
		}
		u := checkAddress(wrong, address, kind.schemes)
		if u == nil {
			return
		}
		last := i == len(addresses)-1
		if u.Path != "" && u.Path != "/" && !(kind.path && last) {
			wrong.add("sink.url", "must not have a path", "不得包含路径")
		}
		for name := range u.Query() {
			if name != kind.query || !last {
				wrong.add("sink.url", "must not say this behind the question mark", "问号之后的参数不适用")
			}
		}
	}
}

// checkAddress checks one URL, which it never quotes, and returns nil if something is
// wrong with it.
func checkAddress(wrong *Mistakes, address string, schemes []string) *url.URL {
	u, err := url.Parse(address)
	switch {
	case err != nil || !isLine(address, maxURL) || u.Opaque != "" || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || !validPort(u):
		wrong.add("sink.url", "must be an absolute URL beginning with "+strings.Join(schemes, ":// or ")+"://",
			"须为绝对 URL，以 "+strings.Join(schemes, ":// 或 ")+":// 开头")
	case u.User != nil:
		wrong.add("sink.url", "must not hold a user or a password: these are secrets", "不得包含用户名或密码，请改用 secrets 字段")
	case strings.Contains(address, "#"):
		wrong.add("sink.url", "must not have a fragment", "不得包含片段（#）")
	default:
		return u
	}
	return nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port != 0
}

// ourHeaders are set by us, or belong to the connection. So do those that begin with
// one of ourPrefixes.
var (
	ourHeaders = []string{
		"Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
	}
	ourPrefixes   = []string{"Webhook-", "Tuoguan-", "Proxy-"}
	secretHeaders = []string{"Authorization", "Cookie"}
)

func (s Sink) checkHeaders(wrong *Mistakes) {
	if len(s.Headers) > maxHeaders {
		wrong.add("sink.headers", "are too many, at most 32", "数量过多，至多 32 项")
		return
	}
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		field := "sink.headers." + name
		checkHeader(wrong, field, name, s.Headers[name], seen)
		if slices.Contains(secretHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
			wrong.add(field, "is a secret: it belongs into secrets.headers", "属于机密信息，请改用 secrets.headers")
		}
	}
}

// checkHeader checks a header, of which the names in seen are taken.
func checkHeader(wrong *Mistakes, field, name, value string, seen map[string]bool) {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case seen[canonical]:
		wrong.add(field, "is there twice", "重复")
	case !isHeaderName(name):
		wrong.add(field, "is not the name of a header", "不是有效的请求头名称")
	case slices.Contains(ourHeaders, canonical) || slices.ContainsFunc(ourPrefixes, func(prefix string) bool { return strings.HasPrefix(canonical, prefix) }):
		wrong.add(field, "is set by the server itself", "由服务器自行设置，不可指定")
	case !isLine(value, maxHeader):
		wrong.add(field, "must be a line of at most 2048 bytes", "须为单行且不超过 2048 字节")
	}
	seen[canonical] = true
}

// isHeaderName reports whether a text is a token of HTTP.
func isHeaderName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func (s Sink) checkSubject(wrong *Mistakes, allowed string) {
	plain := placeholders.Replace(s.Subject)
	misfit := strings.ContainsFunc(plain, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-"+allowed, r))
	})
	if misfit || len(plain) > maxSubject || strings.HasPrefix(plain, ".") || strings.HasSuffix(plain, ".") || strings.Contains(plain, "..") {
		wrong.add("sink.subject", "must be at most 249 letters, digits and . _ - "+allowed+" without a dot too many; {component}, {authorizer} and {kind} stand for the event's",
			"须为不超过 249 位的字母、数字及 . _ - "+allowed+"，点号不得位于首尾或相连；可用 {component}、{authorizer}、{kind} 代表事件的对应内容")
	}
	if len(s.Exchange) > maxExchange || strings.ContainsFunc(s.Exchange, func(r rune) bool { return r <= ' ' || r > '~' }) {
		wrong.add("sink.exchange", "must be at most 255 printable ASCII characters without spaces", "须为不超过 255 个可打印 ASCII 字符，不含空格")
	}
}

// checkAnswer checks a reply that is always the same.
func (r *Reply) checkAnswer(wrong *Mistakes) {
	if r == nil {
		wrong.add("sink.answer", "is required", "必填")
		return
	}
	reply, err := r.reply()
	if err == nil {
		// An event, to which more may be answered than to a message.
		_, err = push.Plaintext(push.Parse(tuoguan.Authorization{}, []byte("<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><MsgType>event</MsgType><Event>x</Event></xml>")), reply, time.Time{})
	}
	if err != nil {
		wrong.add("sink.answer", err.Error(), "不是完整有效的被动回复："+err.Error())
	}
}

func (s Secrets) check(wrong *Mistakes, spec Spec) {
	sink := spec.Sink
	for i, key := range s.Signing {
		if !validKey(key.Key) {
			wrong.add(fmt.Sprintf("secrets.signing[%d]", i), "must be whsec_ and 24 to 64 bytes in base64", "须为 whsec_ 加 24 至 64 字节的 Base64")
		}
	}
	if len(s.Signing) > maxLiveKeys {
		wrong.add("secrets.signing", "are too many, at most 2", "数量过多，至多 2 项")
	}
	if sink.Type == Webhook && sink.Format == WeChat {
		if !tokenPattern.MatchString(s.Token.Reveal()) {
			wrong.add("secrets.token", "must be 3 to 32 letters and digits", "须为 3 至 32 位字母或数字")
		}
		if !aesPattern.MatchString(s.EncodingAESKey.Reveal()) {
			wrong.add("secrets.encoding_aes_key", "must be 43 letters and digits", "须为 43 位字母或数字")
		}
	} else if !s.Token.IsZero() || !s.EncodingAESKey.IsZero() {
		wrong.add("secrets.token", "only webhooks in the format wechat have a token and a key", "仅 wechat 格式的 webhook 使用 token 与 encoding_aes_key")
	}
	s.checkHeaders(wrong, sink)
	broker := sink.Type != Webhook && sink.Type != Answer
	if !broker && (s.User != "" || !s.Password.IsZero()) {
		wrong.add("secrets.user", "only brokers have users", "仅消息队列使用用户名与密码")
	}
	for _, f := range []struct{ field, value string }{{"secrets.user", s.User}, {"secrets.password", s.Password.Reveal()}} {
		if f.value != "" && (len(f.value) > maxSecret || !utf8.ValidString(f.value) || strings.ContainsFunc(f.value, unicode.IsControl)) {
			wrong.add(f.field, "must be at most 1024 bytes", "不得超过 1024 字节")
		}
	}
}

func (s Secrets) checkHeaders(wrong *Mistakes, sink Sink) {
	if len(s.Headers) > 0 && sink.Type != Webhook {
		wrong.add("secrets.headers", "means nothing for the type "+sink.Type, "不适用于类型 "+sink.Type)
		return
	}
	if len(s.Headers) > maxHeaders {
		wrong.add("secrets.headers", "are too many, at most 32", "数量过多，至多 32 项")
		return
	}
	seen := make(map[string]bool)
	for name := range sink.Headers {
		seen[textproto.CanonicalMIMEHeaderKey(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		field := "secrets.headers." + name
		checkHeader(wrong, field, name, s.Headers[name].Reveal(), seen)
	}
}

// signed reports whether messages carry signatures of Standard Webhooks.
func (s Spec) signed() bool { return s.Sink.Type == Webhook && s.Sink.Format != WeChat }

// Normalize returns the spec as it is stored: lists ascending, without repetitions and
// without kinds that others cover; names of headers in their usual form; the format of a
// webhook named.
func (s Spec) Normalize() Spec {
	s.Match.Components = inOrder(s.Match.Components)
	s.Match.Authorizers = inOrder(s.Match.Authorizers)
	s.Match.Tags = inOrder(s.Match.Tags)
	s.Match.Contains = inOrder(s.Match.Contains)
	kinds := inOrder(s.Match.Kinds)
	s.Match.Kinds = slices.DeleteFunc(slices.Clone(kinds), func(kind string) bool {
		return slices.ContainsFunc(kinds, func(other string) bool { return other != kind && covers(other, kind) })
	})
	if s.Sink.Type == Webhook && s.Sink.Format == "" {
		s.Sink.Format = CloudEvents
	}
	if len(s.Sink.Headers) > 0 {
		headers := make(map[string]string, len(s.Sink.Headers))
		for name, value := range s.Sink.Headers {
			headers[textproto.CanonicalMIMEHeaderKey(name)] = value
		}
		s.Sink.Headers = headers
	}
	return s
}

// inOrder returns a copy that is sorted and has nothing twice; never nil, so that JSON
// shows a list.
func inOrder[T ~string](list []T) []T {
	sorted := append(make([]T, 0, len(list)), list...)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// covers reports whether a kind as in a [Match] stands for another.
func covers(wanted, kind string) bool {
	prefix, open := strings.CutSuffix(wanted, "*")
	return wanted == kind || open && strings.HasPrefix(kind, prefix)
}
