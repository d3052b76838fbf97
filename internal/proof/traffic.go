//go:build unix

package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

// Traffic is how much users write in a round. A round with traffic is about pushes and
// what subscribers get of them, and ends when all is written.
type Traffic struct {
	Messages int     // in all; 0: the round is about tokens
	Rate     float64 // a second; 0: as many as are answered
	Copies   float64 // share of the messages of which WeChat sends several
}

// What WeChat does: it waits so long for an answer, and tries so often.
const (
	pushPatience = 5 * time.Second
	pushTries    = 3
)

// traffic plays WeChat for messages, faster than the simulator.
type traffic struct {
	site    *site
	crypter *wxcrypt.Crypter
	canary  string // stands in every message, and nowhere else
	sent    atomic.Int64
	began   time.Duration
}

func newTraffic(s *site) (*traffic, error) {
	c := s.platform.component
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: c.AppID, Token: c.Token, EncodingAESKey: c.EncodingAESKey})
	if err != nil {
		return nil, err
	}
	return &traffic{site: s, crypter: crypter, canary: random(32), began: s.record.Now()}, nil
}

// writers is how many pushes are under way at the most, besides copies.
const writers = 48

// run writes all messages, and returns when each was acknowledged or given up.
func (t *traffic) run(ctx context.Context) {
	began := time.Now()
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(t.site.round.Seed, uint64(2000+i)))
			for {
				n := t.sent.Add(1)
				if n > int64(t.site.round.Traffic.Messages) || ctx.Err() != nil {
					return
				}
				if rate := t.site.round.Traffic.Rate; rate > 0 {
					pause(ctx, time.Until(began.Add(time.Duration(float64(n)/rate*float64(time.Second)))))
				}
				t.write(ctx, random, n, &all)
			}
		})
	}
	all.Wait()
}

// mark begins the number of a message wherever it stands. It is told from any other text
// by that.
const mark = "oMessage"

// numberIn returns the number of the message that a text is about, "" if there is none.
func numberIn(text []byte) string {
	_, rest, found := strings.Cut(string(text), mark)
	if !found {
		return ""
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	return rest[:end]
}

// message is what one user writes, in WeChat's form.
type message struct {
	merchant     *merchant
	number, kind string
	body         string
}

func (t *traffic) message(random *rand.Rand, n int64) message {
	m := message{merchant: t.site.merchants[random.IntN(len(t.site.merchants))], number: strconv.FormatInt(n, 10)}
	head := "<xml><ToUserName><![CDATA[" + m.merchant.userName + "]]></ToUserName><FromUserName><![CDATA[" + mark + m.number + "]]></FromUserName><CreateTime>" +
		strconv.FormatInt(time.Now().Unix(), 10) + "</CreateTime>"
	id := "<MsgId>" + strconv.FormatInt(24_000_000_000_000_000+n, 10) + "</MsgId></xml>"
	switch die := random.IntN(1000); {
	case die == 0:
		m.kind, m.body = "unparsed", head+"<MsgType>text</MsgType><Content>"+t.canary // cut off
	case die < 700:
		content := t.canary + " 多少钱？" + strings.Repeat(" & so on", random.IntN(24))
		m.kind, m.body = "text", head+"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA["+content+"]]></Content>"+id
	case die < 850:
		m.kind, m.body = "image", head+"<MsgType><![CDATA[image]]></MsgType><PicUrl><![CDATA[http://example.test/"+m.number+"]]></PicUrl><MediaId><![CDATA["+m.number+"]]></MediaId>"+id
	default:
		m.kind, m.body = "CLICK", head+"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[CLICK]]></Event><EventKey><![CDATA[menu "+strconv.Itoa(random.IntN(9))+"]]></EventKey></xml>"
	}
	return m
}

// write has one message pushed as WeChat would.
func (t *traffic) write(ctx context.Context, random *rand.Rand, n int64, all *sync.WaitGroup) {
	m := t.message(random, n)
	if random.Float64() < t.site.round.Traffic.Copies {
		for range 1 + random.IntN(3) {
			late, choice := time.Duration(random.ExpFloat64()*float64(50*time.Millisecond)), rand.New(rand.NewPCG(random.Uint64(), 0))
			all.Go(func() {
				pause(ctx, late)
				t.push(ctx, choice, m, 1, true)
			})
		}
	}
	for try := 1; try <= pushTries && ctx.Err() == nil; try++ {
		if t.push(ctx, random, m, try, false) {
			return
		}
		pause(ctx, time.Duration(try)*50*time.Millisecond)
	}
}

// push makes one attempt, and reports whether it was acknowledged.
func (t *traffic) push(ctx context.Context, random *rand.Rand, m message, try int, isCopy bool) bool {
	s := t.site
	e := history.Event{Kind: history.Push, From: s.record.Now(), Event: m.kind, Merchant: m.merchant.appid, MsgID: m.number, Attempt: try, Copy: isCopy}
	g, err := t.seal(random, m)
	if err != nil {
		e.Note = err.Error()
		s.record.Add(e)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, pushPatience)
	defer cancel()
	reply, r, err := t.reach(ctx, random, g, &e)
	if reply != nil {
		defer func() { _ = reply.Body.Close() }()
	}
	switch {
	case r != nil && err == nil && !r.silenced(e.Process):
		e.Status = reply.StatusCode
		body := make([]byte, 16)
		n, _ := reply.Body.Read(body)
		e.Accepted = reply.StatusCode == http.StatusOK && string(body[:n]) == "success"
	case r != nil && errors.Is(ctx.Err(), context.DeadlineExceeded): // no answer is one, too late
	default:
		e.Process = "" // whether and when it would have answered is not known
	}
	if err != nil {
		e.Note = "no answer"
	}
	s.record.Add(e)
	return e.Accepted
}

// reach brings a push to a process that can be connected to, if there is one.
func (t *traffic) reach(ctx context.Context, random *rand.Rand, g genuine, e *history.Event) (*http.Response, *replica, error) {
	finding, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		r, err := t.site.up(finding, random)
		if err != nil {
			return nil, nil, errNobody
		}
		e.From = t.site.record.Now()
		e.Process, _ = r.current()
		reply, err := r.deliver(ctx, g)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return reply, r, err
		}
	}
}

// seal encrypts and signs a message anew.
func (t *traffic) seal(random *rand.Rand, m message) (genuine, error) {
	encrypt, err := t.crypter.Encrypt([]byte(m.body), wxcrypt.Current)
	if err != nil {
		return genuine{}, fmt.Errorf("seal a push: %w", err)
	}
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), strconv.FormatUint(random.Uint64()%1e10, 10)
	query := url.Values{
		"signature": {t.crypter.Sign(timestamp, nonce, nil, wxcrypt.Current)}, "timestamp": {timestamp}, "nonce": {nonce},
		"encrypt_type": {"aes"}, "openid": {mark + m.number}, "msg_signature": {t.crypter.Sign(timestamp, nonce, encrypt, wxcrypt.Current)},
	}
	body := "<xml><ToUserName><![CDATA[" + m.merchant.userName + "]]></ToUserName><Encrypt><![CDATA[" + string(encrypt) + "]]></Encrypt></xml>"
	path := "/wx/" + t.site.platform.component.AppID + "/message/" + m.merchant.appid
	return genuine{path: path, query: query, body: []byte(body)}, nil
}
