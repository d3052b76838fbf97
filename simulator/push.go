package simulator

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/wxcrypt"
)

// maxAnswer bounds how much of an answer is read; a passive reply is far smaller.
const maxAnswer = 1 << 20

// shownAnswer bounds how much of an answer an [Attempt] repeats.
const shownAnswer = 16 << 10

// PushResult is what became of one push.
type PushResult struct {
	// Attempts are the attempts made, at most three; none if the push got lost.
	Attempts []Attempt `json:"attempts"`
	// Accepted reports whether the last attempt was answered as it must be.
	Accepted bool `json:"accepted"`
	// Problem says why the last answer was refused.
	Problem string `json:"problem,omitempty"`
}

// Attempt is one HTTP request and its answer.
type Attempt struct {
	Status    int    `json:"status"` // 0 where no answer came
	LatencyMS int64  `json:"latency_ms"`
	Body      string `json:"body"`
	Problem   string `json:"problem,omitempty"`
}

// push is a message on its way to a component.
type push struct {
	comp       *component
	url        string
	envelope   field  // what stands beside Encrypt
	openid     string // on the message URL
	event      string
	msgID      string
	authorizer string
	plain      []byte
	onMessages bool    // goes to the message URL, where an answer may be a reply
	from, to   string  // whom a passive reply must go to and come from
	presented  string  // hash of the secret inside
	again      *push   // an older push that reordering sends once more
	noFaults   bool    // the release check is not disturbed
	noLoss     bool    // the redirect got lost already
	attempts   int     // defaults to three
	reply      *answer // of the last attempt
}

// answer is a passive reply, opened.
type answer struct{ fields map[string]any }

// field is an XML element: text, or children.
type field struct {
	name     string
	text     string
	bare     bool // a number: no CDATA
	children []field
}

func text(name, value string) field { return field{name: name, text: value} }
func number(name string, value int64) field {
	return field{name: name, text: strconv.FormatInt(value, 10), bare: true}
}

// document renders fields the way WeChat writes them: text in CDATA, numbers bare.
func document(fields ...field) []byte {
	var b bytes.Buffer
	b.WriteString("<xml>")
	for _, f := range fields {
		f.write(&b)
	}
	b.WriteString("</xml>")
	return b.Bytes()
}

func (f field) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "<%s>", f.name)
	switch {
	case f.children != nil:
		for _, child := range f.children {
			child.write(b)
		}
	case f.bare:
		_ = xml.EscapeText(b, []byte(f.text)) // a bytes.Buffer takes everything
	default:
		b.WriteString("<![CDATA[")
		b.WriteString(strings.ReplaceAll(strings.Map(xmlRune, f.text), "]]>", "]]]]><![CDATA[>"))
		b.WriteString("]]>")
	}
	fmt.Fprintf(b, "</%s>", f.name)
}

// xmlRune drops what XML 1.0 cannot carry.
func xmlRune(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r != 0xFFFE && r != 0xFFFF {
		return r
	}
	return -1
}

// authorizationPush makes an authorization event. s.mu is held.
func (s *Simulator) authorizationPush(now time.Time, c *component, event, authorizer, code string, expires time.Time, preAuthCode string) *push {
	fields := []field{
		text("AppId", c.appid), number("CreateTime", now.Unix()), text("InfoType", event), text("AuthorizerAppid", authorizer),
	}
	if code != "" {
		fields = append(fields, text("AuthorizationCode", code),
			number("AuthorizationCodeExpiredTime", expires.Unix()), text("PreAuthCode", preAuthCode))
	}
	return &push{
		comp: c, url: c.EventURL, envelope: text("AppId", c.appid), event: event,
		authorizer: authorizer, plain: document(fields...), presented: hashOf(code),
	}
}

func ticketPush(now time.Time, c *component, ticket string) *push {
	return &push{
		comp: c, url: c.EventURL, envelope: text("AppId", c.appid), event: "component_verify_ticket",
		plain: document(text("AppId", c.appid), number("CreateTime", now.Unix()),
			text("InfoType", "component_verify_ticket"), text("ComponentVerifyTicket", ticket)),
		presented: hashOf(ticket),
	}
}

// PushTicket pushes a fresh verify ticket now, and turns periodic tickets on.
func (s *Simulator) PushTicket(ctx context.Context, componentAppID string) (PushResult, error) {
	now := s.now()
	s.mu.Lock()
	c, err := s.find(componentAppID)
	if err != nil {
		s.mu.Unlock()
		return PushResult{}, err
	}
	var before *push
	if issued, known := c.tickets[c.ticketN]; known {
		before = ticketPush(issued, c, s.mint.coin(secretTicket, c.id, c.ticketN))
	}
	p := ticketPush(now, c, s.issueTicket(c, now))
	p.again = before
	c.ticketsOn, c.nextTicket = true, now.Add(ticketInterval)
	s.mu.Unlock()
	return s.send(ctx, p), nil
}

// send delivers a push, with whatever faults strike it.
func (s *Simulator) send(ctx context.Context, p *push) PushResult {
	if p.noFaults {
		return s.deliver(ctx, p, false)
	}
	f, c := s.Faults(), p.comp
	// Pushes that were held may go out at the same instant. What then happens to each
	// must not depend on which comes first.
	subject := c.appid + p.authorizer
	authorizationEvent := !p.onMessages && p.authorizer != ""
	if authorizationEvent && !p.noLoss && s.strikes(f.LostPush, "lost_push", c.appid) {
		return PushResult{Attempts: []Attempt{}, Problem: "the push got lost (fault lost_push)"}
	}
	if s.strikes(f.ReorderPush, "reorder_push", c.appid) {
		if p.again != nil {
			defer s.background(func(ctx context.Context) { s.deliver(ctx, p.again, true) })
		} else {
			s.awaitPush(ctx, c, milliseconds(f.LatePushMS))
		}
	}
	if s.strikes(f.LatePush, "late_push", subject) {
		sleep(ctx, s.dice.between("late", subject, 0, milliseconds(f.LatePushMS)))
	}
	if s.strikes(f.DuplicatePush, "duplicate_push", subject) {
		for range 1 + s.dice.next("copies", subject)%3 {
			delay := s.dice.between("copy delay", subject, 0, 500*time.Millisecond)
			duplicate := *p
			s.background(func(ctx context.Context) {
				sleep(ctx, delay)
				s.deliver(ctx, &duplicate, true)
			})
		}
	}
	return s.deliver(ctx, p, false)
}

// awaitPush waits until another push of the component has gone out, or for d.
func (s *Simulator) awaitPush(ctx context.Context, c *component, d time.Duration) {
	s.mu.Lock()
	pushed := c.pushed
	s.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-pushed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// deliver makes up to three attempts with one plaintext, each sealed anew.
func (s *Simulator) deliver(ctx context.Context, p *push, isCopy bool) PushResult {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() // Close ends it too
	limit := p.attempts
	if limit == 0 {
		limit = pushAttempts
	}
	result := PushResult{Attempts: []Attempt{}}
	for n := 1; n <= limit && !result.Accepted; n++ {
		if n > 1 {
			sleep(ctx, s.config.RetryDelay)
		}
		if ctx.Err() != nil {
			break
		}
		attempt := s.attempt(ctx, p, n, isCopy)
		result.Attempts = append(result.Attempts, attempt)
		result.Accepted, result.Problem = attempt.Problem == "", attempt.Problem
	}
	s.mu.Lock()
	close(p.comp.pushed)
	p.comp.pushed = make(chan struct{})
	s.mu.Unlock()
	return result
}

// attempt makes one HTTP request and judges the answer.
func (s *Simulator) attempt(ctx context.Context, p *push, n int, isCopy bool) Attempt {
	ctx, cancel := context.WithTimeout(ctx, pushDeadline)
	defer cancel()
	p.reply = nil
	started := time.Now()
	status, body, err := s.post(ctx, p)
	a := Attempt{Status: status, LatencyMS: time.Since(started).Milliseconds(), Body: string(body[:min(len(body), shownAnswer)])}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a.Problem = "no complete answer within 5 s"
	case err != nil:
		a.Problem = problemOf(err)
	case status != http.StatusOK:
		a.Problem = fmt.Sprintf("HTTP status %d instead of 200", status)
	case string(body) == "success", p.onMessages && len(body) == 0:
	case !p.onMessages:
		a.Problem = "the body must be the 7 bytes success and nothing else"
	default:
		if p.reply, err = s.openReply(p, body); err != nil {
			a.Problem = err.Error()
		}
	}
	path := ""
	if u, err := url.Parse(p.url); err == nil {
		path = u.Path
	}
	s.journal.add(Entry{
		Time: s.now(), Kind: KindPush, Method: http.MethodPost, Path: path, Status: status,
		ComponentAppID: p.comp.appid, AuthorizerAppID: p.authorizer, Event: p.event, MsgID: p.msgID, SHA256: p.presented,
		Attempt: n, LatencyMS: a.LatencyMS, Accepted: a.Problem == "", Copy: isCopy, Problem: a.Problem,
	})
	return a
}

// problemOf says what went wrong with a connection. A url.Error would repeat the
// whole address.
func problemOf(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return "no answer: " + err.Error()
}

// post seals the push and sends it.
func (s *Simulator) post(ctx context.Context, p *push) (status int, body []byte, err error) {
	crypter := s.crypterFor(p)
	encrypt, err := crypter.Encrypt(p.plain, wxcrypt.Current)
	if err != nil {
		return 0, nil, err
	}
	// Real time: receivers refuse what was long on its way, and theirs is not the
	// virtual clock. CreateTime inside is virtual.
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	nonce := strconv.FormatUint(s.dice.next("nonce", "")%1e10, 10)
	signature := crypter.Sign(timestamp, nonce, nil, wxcrypt.Current)
	query := url.Values{
		"signature":     {signature},
		"timestamp":     {timestamp},
		"nonce":         {nonce},
		"encrypt_type":  {"aes"},
		"msg_signature": {crypter.Sign(timestamp, nonce, encrypt, wxcrypt.Current)},
	}
	if p.openid != "" {
		query.Set("openid", p.openid)
	}
	envelope := document(p.envelope, text("Encrypt", string(encrypt)))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, withQuery(p.url, query.Encode()), bytes.NewReader(envelope))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "text/xml")
	request.Header.Set("User-Agent", "Mozilla/4.0")
	reply, err := s.pusher.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	body, err = io.ReadAll(io.LimitReader(reply.Body, maxAnswer))
	return reply.StatusCode, body, err
}

// crypterFor chooses the keys of a push; soon after a change it may be the old ones.
func (s *Simulator) crypterFor(p *push) *wxcrypt.Crypter {
	s.mu.Lock()
	current, previous, rekeyed := p.comp.crypter, p.comp.previous, p.comp.rekeyedAt
	s.mu.Unlock()
	if previous != nil && !p.noFaults && s.now().Sub(rekeyed) < time.Hour && s.strikes(s.Faults().PreviousKey, "previous_key", p.comp.appid) {
		return previous
	}
	return current
}

// openReply opens a passive reply as WeChat does and returns what it would show
// to the user, or why it would show nothing.
func (s *Simulator) openReply(p *push, body []byte) (*answer, error) {
	envelope, err := wxcrypt.ParseEnvelope(body)
	if err != nil {
		return nil, fmt.Errorf("the answer is neither success, nor empty, nor an encrypted reply: %w", err)
	}
	query := wxcrypt.Query{
		Timestamp: string(envelope.TimeStamp), Nonce: string(envelope.Nonce), MsgSignature: string(envelope.MsgSignature),
	}
	s.mu.Lock()
	current, previous := p.comp.crypter, p.comp.previous
	s.mu.Unlock()
	message, err := current.Open(query, envelope.Encrypt)
	if err != nil && previous != nil {
		if old, oldErr := previous.Open(query, envelope.Encrypt); oldErr == nil {
			message, err = old, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the reply's envelope: %w", err)
	}
	fields, err := parseReply(message.Body)
	if err != nil {
		return nil, err
	}
	if to, _ := fields["ToUserName"].(string); to != p.from {
		return nil, errors.New("the reply's ToUserName is not the sender of the message")
	}
	if from, _ := fields["FromUserName"].(string); from != p.to {
		return nil, errors.New("the reply's FromUserName is not the account's original id")
	}
	if created, _ := fields["CreateTime"].(string); !isNumber(created) {
		return nil, errors.New("the reply's CreateTime is not a number")
	}
	if err := checkReplyType(fields); err != nil {
		return nil, err
	}
	return &answer{fields: fields}, nil
}

func isNumber(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}

// checkReplyType checks what each type of passive reply must have.
// Source: Official Accounts docs, passive replies, read 2026.
func checkReplyType(fields map[string]any) error {
	need := func(path ...string) error {
		at := any(fields)
		for _, name := range path {
			object, _ := at.(map[string]any)
			at = object[name]
		}
		if value, _ := at.(string); value == "" {
			return fmt.Errorf("the reply lacks %s", strings.Join(path, "/"))
		}
		return nil
	}
	kind, _ := fields["MsgType"].(string)
	switch kind {
	case "text":
		return need("Content")
	case "image":
		return need("Image", "MediaId")
	case "voice":
		return need("Voice", "MediaId")
	case "video":
		return need("Video", "MediaId")
	case "music":
		return need("Music", "ThumbMediaId")
	case "news":
		if err := need("ArticleCount"); err != nil {
			return err
		}
		articles, _ := fields["Articles"].(map[string]any)
		if articles["item"] == nil {
			return errors.New("the reply lacks Articles/item")
		}
		return nil
	case "transfer_customer_service":
		return nil
	}
	return fmt.Errorf("the reply's MsgType %q does not exist", kind)
}

// parseReply reads the XML of a reply into a map: text becomes a string,
// children become a map, repeated children a list.
func parseReply(document []byte) (map[string]any, error) {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errors.New("the reply is not XML")
		}
		if start, ok := token.(xml.StartElement); ok {
			if start.Name.Local != "xml" {
				return nil, fmt.Errorf("the reply's root is %q instead of xml", start.Name.Local)
			}
			value, err := parseElement(d, 1)
			if err != nil {
				return nil, err
			}
			fields, ok := value.(map[string]any)
			if !ok {
				return nil, errors.New("the reply is empty")
			}
			return fields, nil
		}
	}
}

func parseElement(d *xml.Decoder, depth int) (any, error) {
	if depth > 6 {
		return nil, errors.New("the reply is nested too deeply")
	}
	var content strings.Builder
	var children map[string]any
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errors.New("the reply is not XML")
		}
		switch t := token.(type) {
		case xml.CharData:
			content.Write(t)
		case xml.StartElement:
			value, err := parseElement(d, depth+1)
			if err != nil {
				return nil, err
			}
			if children == nil {
				children = make(map[string]any)
			}
			switch before := children[t.Name.Local].(type) {
			case nil:
				children[t.Name.Local] = value
			case []any:
				children[t.Name.Local] = append(before, value)
			default:
				children[t.Name.Local] = []any{before, value}
			}
		case xml.EndElement:
			if children != nil {
				return children, nil
			}
			return content.String(), nil
		}
	}
}
