package simulator_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuoguan/tuoguan/simulator"
	"github.com/tuoguan/tuoguan/simulator/simtest"
	"github.com/tuoguan/tuoguan/wxcrypt"
)

func TestPushEnvelope(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	w.ticket()
	p := w.receiver.of("component_verify_ticket")[0]
	if p.outer != "AppId" || p.path != "/wx/"+w.component.AppID+"/event" || p.query.Get("encrypt_type") != "aes" || p.query.Has("openid") {
		t.Errorf("event push %+v", p)
	}
	if want := wxcrypt.Signature(w.component.Token, p.query.Get("timestamp"), p.query.Get("nonce")); p.query.Get("signature") != want {
		t.Errorf("signature %s, want %s", p.query.Get("signature"), want)
	}
	a := w.account(simulator.OfficialAccount)
	w.authorized(w.token(), a.AppID)
	result, err := w.SendMessage(t.Context(), a.AppID, simulator.Message{
		From: "oUser1", Type: "event", Fields: map[string]any{"event": "LOCATION", "latitude": 23.5, "SendLocationInfo": map[string]any{"Label": "x]]>y"}},
	})
	if err != nil || !result.Accepted || result.Reply != nil || result.MsgID != "" {
		t.Fatalf("result %+v, %v", result, err)
	}
	m := w.receiver.of("LOCATION")[0]
	if m.outer != "ToUserName" || m.path != "/wx/"+w.component.AppID+"/message/"+a.AppID || m.query.Get("openid") != "oUser1" ||
		m.ToUserName != a.UserName || m.FromUserName != "oUser1" || m.Latitude != "23.5" {
		t.Errorf("message push %+v", m)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	a := w.account(simulator.OfficialAccount)
	w.authorized(w.token(), a.AppID)
	wrongKey, err := wxcrypt.New(wxcrypt.Config{AppID: w.component.AppID, Token: w.component.Token, EncodingAESKey: strings.Repeat("x", 43)})
	if err != nil {
		t.Fatal(err)
	}
	wrongTail, err := wxcrypt.New(wxcrypt.Config{AppID: a.AppID, Token: w.component.Token, EncodingAESKey: w.component.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	seal := func(c *wxcrypt.Crypter, p received, to, from string) string {
		body, err := c.SealXML(nil, []byte("<xml><ToUserName>"+to+"</ToUserName><FromUserName>"+from+
			"</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>pong</Content></xml>"), "1", "n", wxcrypt.Current)
		if err != nil {
			t.Error(err)
		}
		return string(body)
	}
	for _, c := range []struct {
		name     string
		answer   func(received) (int, string)
		accepted bool
		reply    string
		problem  string
	}{
		{"success", func(received) (int, string) { return 200, "success" }, true, "", ""},
		{"nothing", func(received) (int, string) { return 200, "" }, true, "", ""},
		{"a reply", func(p received) (int, string) { return 200, w.receiver.reply(p, "pong") }, true, "pong", ""},
		{"success in capitals", func(received) (int, string) { return 200, "SUCCESS" }, false, "", "neither success"},
		{"success with a newline", func(received) (int, string) { return 200, "success\n" }, false, "", "neither success"},
		{"status 201", func(received) (int, string) { return 201, "success" }, false, "", "201"},
		{"status 500", func(received) (int, string) { return 500, "" }, false, "", "500"},
		{"a plain reply", func(received) (int, string) { return 200, "<xml><Content>x</Content></xml>" }, false, "", "neither success"},
		{"another key", func(p received) (int, string) { return 200, seal(wrongKey, p, p.FromUserName, p.ToUserName) }, false, "", "decrypt"},
		{"the account's appid at the end", func(p received) (int, string) { return 200, seal(wrongTail, p, p.FromUserName, p.ToUserName) }, false, "", "receiver"},
		{"names not swapped", func(p received) (int, string) { return 200, seal(w.receiver.crypter, p, p.ToUserName, p.FromUserName) }, false, "", "ToUserName"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.receiver.mu.Lock()
			w.receiver.answer, w.receiver.pushes = c.answer, nil
			w.receiver.mu.Unlock()
			result, err := w.SendMessage(t.Context(), a.AppID, simulator.Message{From: "oUser1", Type: "text", Fields: map[string]any{"content": "ping"}})
			if err != nil {
				t.Fatal(err)
			}
			attempts := 1
			if !c.accepted {
				attempts = 3
			}
			got, _ := result.Reply["Content"].(string)
			if result.Accepted != c.accepted || len(result.Attempts) != attempts || got != c.reply {
				t.Errorf("accepted %t after %d attempts with reply %v", result.Accepted, len(result.Attempts), result.Reply)
			}
			if problem, _ := result.Reply["problem"].(string); c.problem != "" && !strings.Contains(problem, c.problem) {
				t.Errorf("problem %q does not mention %q", problem, c.problem)
			}
			pushes := w.receiver.of("text")
			for _, p := range pushes {
				if p.MsgID != pushes[0].MsgID || p.MsgID != result.MsgID {
					t.Errorf("the attempts differ in MsgId: %s and %s", p.MsgID, pushes[0].MsgID)
				}
			}
		})
	}
	t.Run("the event URL takes nothing but success", func(t *testing.T) {
		w.receiver.answer = func(received) (int, string) { return 200, "" }
		if result, err := w.PushTicket(t.Context(), w.component.AppID); err != nil || result.Accepted || len(result.Attempts) != 3 {
			t.Errorf("result %+v, %v", result, err)
		}
	})
}

func TestPushDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWorld(t, nil)
		w.receiver.answer = func(received) (int, string) {
			time.Sleep(6 * time.Second)
			return 200, "success"
		}
		result, err := w.PushTicket(t.Context(), w.component.AppID)
		if err != nil || result.Accepted || len(result.Attempts) != 3 || !strings.Contains(result.Problem, "5 s") {
			t.Errorf("result %+v, %v", result, err)
		}
	})
}

func TestPeriodicTickets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWorld(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := w.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		count := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := len(w.receiver.of("component_verify_ticket")); got != want {
				t.Errorf("%s: %d tickets, want %d", when, got, want)
			}
		}
		time.Sleep(9 * time.Minute)
		count(0, "before ten minutes")
		time.Sleep(52 * time.Minute)
		count(6, "after an hour")
		if err := w.Advance(2 * time.Hour); err != nil {
			t.Fatal(err)
		}
		count(7, "after the clock leapt two hours")
		w.Clock().Advance(time.Hour) // by somebody else
		time.Sleep(2 * time.Second)
		count(8, "after another leap")
		tickets := w.receiver.of("component_verify_ticket")
		if tickets[0].ComponentVerifyTicket == tickets[1].ComponentVerifyTicket {
			t.Error("the ticket did not change")
		}
		cancel()
		run.Wait()
	})
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, func(c *simulator.Config) {
		c.Faults = simtest.Faults(t, simulator.PresetOff)
		c.Faults.PreviousKey = 1
	})
	changed := w.component
	changed.EncodingAESKey = strings.Repeat("k", 43)
	simtest.Register(t, w.Simulator, changed)
	w.ticket() // the receiver knows the old key only: a push with the new one would fail the test
	if err := w.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	crypter, err := wxcrypt.New(wxcrypt.Config{AppID: changed.AppID, Token: changed.Token, EncodingAESKey: changed.EncodingAESKey})
	if err != nil {
		t.Fatal(err)
	}
	w.receiver.crypter = crypter
	w.ticket()
}

// TestPushFaults checks each fault of pushes on its own, at probability 1.
func TestPushFaults(t *testing.T) {
	t.Parallel()
	with := func(name string, change func(*simulator.Faults), check func(*testing.T, *world, simulator.Account)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, _ := newWorld(t, func(c *simulator.Config) {
					c.Faults = simtest.Faults(t, simulator.PresetOff)
					change(c.Faults)
				})
				check(t, w, w.account(simulator.OfficialAccount))
			})
		})
	}
	authorize := func(t *testing.T, w *world, a simulator.Account) simulator.AuthorizeResult {
		t.Helper()
		result, err := w.Authorize(t.Context(), a.AppID, simulator.AuthorizeRequest{ComponentAppID: w.component.AppID, RedirectURI: "http://acme.example/"})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	with("duplicate_push", func(f *simulator.Faults) { f.DuplicatePush = 1 }, func(t *testing.T, w *world, a simulator.Account) {
		authorize(t, w, a)
		time.Sleep(time.Second)
		synctest.Wait()
		pushes := w.receiver.of("authorized")
		if len(pushes) < 2 || len(pushes) > 4 {
			t.Fatalf("%d pushes", len(pushes))
		}
		for _, p := range pushes {
			if p.inner != pushes[0].inner {
				t.Errorf("the copies differ: %+v and %+v", p.inner, pushes[0].inner)
			}
		}
	})
	with("late_push", func(f *simulator.Faults) { f.LatePush = 1 }, func(t *testing.T, w *world, a simulator.Account) {
		started := time.Now()
		if result := authorize(t, w, a); !result.Accepted || time.Since(started) == 0 || time.Since(started) > 2*time.Second {
			t.Errorf("accepted %t after %s", result.Accepted, time.Since(started))
		}
	})
	with("lost_push", func(f *simulator.Faults) { f.LostPush = 1 }, func(t *testing.T, w *world, a simulator.Account) {
		if result := authorize(t, w, a); result.Accepted || len(result.Attempts) != 0 || result.RedirectURL == "" || len(w.receiver.of("")) != 0 {
			t.Errorf("result %+v, pushes %d", result, len(w.receiver.of("")))
		}
	})
	with("reorder_push", func(f *simulator.Faults) { f.ReorderPush = 1 }, func(t *testing.T, w *world, a simulator.Account) {
		var group sync.WaitGroup
		group.Go(func() { authorize(t, w, a) })
		synctest.Wait() // the push is held
		if n := len(w.receiver.of("authorized")); n != 0 {
			t.Errorf("%d pushes before another one went out", n)
		}
		if err := w.SetFaults(*simtest.Faults(t, simulator.PresetOff)); err != nil {
			t.Fatal(err)
		}
		w.ticket()
		group.Wait()
		if order := w.receiver.of(""); len(order) != 2 || order[1].InfoType != "authorized" {
			t.Errorf("order %+v", order)
		}
	})
	with("reorder_push of tickets", func(f *simulator.Faults) { f.ReorderPush = 1 }, func(t *testing.T, w *world, _ simulator.Account) {
		first := func() string {
			if _, err := w.PushTicket(t.Context(), w.component.AppID); err != nil {
				t.Fatal(err)
			}
			return w.receiver.of("component_verify_ticket")[0].ComponentVerifyTicket
		}
		old := first()
		first()
		synctest.Wait()
		all := w.receiver.of("component_verify_ticket")
		if len(all) != 3 || all[2].ComponentVerifyTicket != old || all[1].ComponentVerifyTicket == old {
			t.Errorf("%d tickets; the old one came last: %t", len(all), all[len(all)-1].ComponentVerifyTicket == old)
		}
	})
}

// TestReplyFaults checks each fault of replies on its own, at probability 1.
func TestReplyFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*simulator.Faults)
		want   string // in the body or the error
		done   bool   // the refresh took place
	}{
		{"busy", func(f *simulator.Faults) { f.Busy = 1 }, `"errcode":-1`, false},
		{"http_5xx", func(f *simulator.Faults) { f.HTTP5xx = 1 }, "502 Bad Gateway", false},
		{"html_reply", func(f *simulator.Faults) { f.HTMLReply = 1 }, "<!DOCTYPE html>", false},
		{"connection_reset", func(f *simulator.Faults) { f.ConnectionReset = 1 }, "reset by peer", false},
		{"quota_exhausted", func(f *simulator.Faults) { f.QuotaExhausted = 1 }, `"errcode":45009`, false},
		{"false_61003", func(f *simulator.Faults) { f.False61003 = 1 }, `"errcode":61003`, false},
		{"drop_reply_after_processing", func(f *simulator.Faults) { f.DropReplyAfterProcessing = 1 }, "closed without a reply", true},
		{"truncated_reply", func(f *simulator.Faults) { f.TruncatedReply = 1 }, `{"authorizer_access_token":"77_`, true},
		{"expires_in_string", func(f *simulator.Faults) { f.ExpiresInString = 1 }, `"expires_in":"7200"`, true},
		{"odd_expires_in", func(f *simulator.Faults) { f.OddExpiresIn = 1 }, `"expires_in":-1`, true},
		{"extra_fields", func(f *simulator.Faults) { f.ExtraFields = 1 }, `{"sim_undocumented":`, true},
		{"empty_refresh_token", func(f *simulator.Faults) { f.EmptyRefreshToken = 1 }, `"authorizer_refresh_token":""`, true},
		{"slow_reply", func(f *simulator.Faults) { f.SlowReply = 1 }, `"expires_in":7200`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, _ := newWorld(t, nil)
				token := w.token()
				a := w.account(simulator.OfficialAccount)
				_, refresh := w.authorized(token, a.AppID)
				before, err := w.Account(a.AppID)
				if err != nil {
					t.Fatal(err)
				}
				f := w.Faults()
				c.change(&f)
				if err := w.SetFaults(f); err != nil {
					t.Fatal(err)
				}
				body := `{"component_appid":"` + w.component.AppID + `","authorizer_appid":"` + a.AppID + `","authorizer_refresh_token":"` + refresh + `"}`
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.weixin.qq.com"+api+"api_authorizer_token?"+token.Encode(), strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				if resp, err := w.http.Do(req); err != nil {
					got = err.Error()
				} else {
					got = readAll(t, resp)
				}
				if !strings.Contains(got, c.want) {
					t.Errorf("reply %q does not contain %q", got, c.want)
				}
				after, err := w.Account(a.AppID)
				if err != nil {
					t.Fatal(err)
				}
				if done := after.Authorizations[0].AccessTokens > before.Authorizations[0].AccessTokens; done != c.done {
					t.Errorf("the refresh took place: %t, want %t", done, c.done)
				}
				struck := slices.ContainsFunc(w.Journal(0, 1000), func(e simulator.Entry) bool { return e.Kind == simulator.KindFault && e.Fault == c.name })
				if !struck {
					t.Error("the journal does not know of the fault")
				}
			})
		})
	}
}

func TestOddReplies(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	token := w.token()
	f := w.Faults()
	f.OddReply = 1
	if err := w.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	shapes := make(map[string]bool)
	for range 60 {
		resp, err := w.http.Post("https://api.weixin.qq.com"+api+"api_create_preauthcode?"+token.Encode(), "application/json",
			strings.NewReader(`{"component_appid":"`+w.component.AppID+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		status, body := resp.StatusCode, readAll(t, resp)
		shapes[strconv.Itoa(status)+body[:min(len(body), 4)]] = true
		if status == http.StatusOK && strings.HasPrefix(body, `{"pre_auth_code"`) {
			t.Errorf("an ordinary reply: %s", body)
		}
	}
	if len(shapes) != 7 {
		t.Errorf("%d shapes: %v", len(shapes), shapes)
	}
}

func TestEarlyDeadToken(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, func(c *simulator.Config) {
		c.Faults = simtest.Faults(t, simulator.PresetOff)
	})
	token := w.token()
	f := w.Faults()
	f.EarlyDeadToken = 1
	if err := w.SetFaults(f); err != nil {
		t.Fatal(err)
	}
	a := w.account(simulator.OfficialAccount)
	access, _ := w.authorized(token, a.AppID)
	w.wantCode(0, w.behalf(access))
	if err := w.Advance(time.Hour*2 - 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	w.wantCode(40001, w.behalf(access))
}

func TestOverlapOfRefreshesIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newWorld(t, nil)
		token := w.token()
		a := w.account(simulator.OfficialAccount)
		_, refresh := w.authorized(token, a.AppID)
		f := w.Faults()
		f.ReplyLatencyMS = 100
		if err := w.SetFaults(f); err != nil {
			t.Fatal(err)
		}
		w.refresh(token, a.AppID, refresh)
		w.refresh(token, a.AppID, refresh)
		if n := w.Stats().MaxRefreshOverlap; n != 1 {
			t.Errorf("one after the other: overlap %d", n)
		}
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() { w.refresh(token, a.AppID, refresh) })
		}
		group.Wait()
		info, err := w.Account(a.AppID)
		if err != nil || w.Stats().MaxRefreshOverlap != 3 || info.Authorizations[0].MaxOverlap != 3 || info.Authorizations[0].Refreshes != 5 {
			t.Errorf("stats %+v, authorization %+v, %v", w.Stats(), info.Authorizations, err)
		}
		if n := w.Stats().Calls[api+"api_authorizer_token"]; n != 5 {
			t.Errorf("%d calls counted", n)
		}
	})
}

// platform answers the release check the way a correct server does.
type platform struct {
	w     *world
	twice bool // sends the API message twice
	work  sync.WaitGroup
}

func (p *platform) answer(m received) (int, string) {
	switch {
	case m.InfoType != "":
		return 200, "success"
	case m.Event != "":
		return 200, p.w.receiver.reply(m, m.Event+"from_callback")
	case m.Content == "TESTCOMPONENT_MSG_TYPE_TEXT":
		return 200, p.w.receiver.reply(m, m.Content+"_callback")
	}
	if authCode, found := strings.CutPrefix(m.Content, "QUERY_AUTH_CODE:"); found {
		p.work.Go(func() {
			tickets := p.w.receiver.of("component_verify_ticket")
			token, err := p.w.tryCall(api+"api_component_token", nil, map[string]string{
				"component_appid": p.w.component.AppID, "component_appsecret": p.w.component.Secret,
				"component_verify_ticket": tickets[len(tickets)-1].ComponentVerifyTicket,
			})
			if err != nil {
				p.w.t.Error(err)
				return
			}
			access, _ := p.w.exchange(map[string][]string{"access_token": {field(token, "component_access_token")}}, authCode)
			n := 1
			if p.twice {
				n = 2
			}
			for range n {
				if _, err := p.w.tryCall("/cgi-bin/message/custom/send", map[string][]string{"access_token": {access}}, map[string]any{
					"touser": m.FromUserName, "msgtype": "text", "text": map[string]string{"content": authCode + "_from_api"},
				}); err != nil {
					p.w.t.Error(err)
				}
			}
		})
	}
	return 200, ""
}

func TestReleaseCheck(t *testing.T) {
	t.Parallel()
	for group := 1; group <= 5; group++ {
		t.Run("group "+strconv.Itoa(group), func(t *testing.T) {
			t.Parallel()
			w, _ := newWorld(t, nil)
			p := &platform{w: w}
			w.receiver.answer = p.answer
			result, err := w.ReleaseCheck(t.Context(), w.component.AppID, simulator.ReleaseCheckOptions{Group: group})
			p.work.Wait()
			if err != nil || !result.Passed || result.Group != group || len(result.Steps) != 10 {
				t.Fatalf("result %+v, %v", result, err)
			}
			again, err := w.ReleaseCheck(t.Context(), w.component.AppID, simulator.ReleaseCheckOptions{Group: group})
			p.work.Wait()
			if err != nil || !again.Passed {
				t.Errorf("a second check: %+v, %v", again, err)
			}
		})
	}
}

func TestReleaseCheckFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*world, *platform)
		failed []string
	}{
		{"ticket refused", func(w *world, p *platform) {
			w.receiver.answer = func(m received) (int, string) {
				if m.InfoType == "component_verify_ticket" {
					return 200, `"success"`
				}
				return p.answer(m)
			}
		}, []string{"ticket"}},
		{"ticket accepted at the second attempt only", func(w *world, p *platform) {
			tries := 0
			w.receiver.answer = func(m received) (int, string) {
				if m.InfoType == "component_verify_ticket" {
					if tries++; tries == 1 {
						return 500, ""
					}
				}
				return p.answer(m)
			}
		}, []string{"ticket"}},
		{"text not answered", func(w *world, p *platform) {
			w.receiver.answer = func(m received) (int, string) {
				if m.Content == "TESTCOMPONENT_MSG_TYPE_TEXT" {
					return 200, "success"
				}
				return p.answer(m)
			}
		}, []string{"text message"}},
		{"wrong text", func(w *world, p *platform) {
			w.receiver.answer = func(m received) (int, string) {
				if m.Event != "" {
					return 200, w.receiver.reply(m, m.Event+"_from_callback")
				}
				return p.answer(m)
			}
		}, []string{"event"}},
		{"answered twice", func(_ *world, p *platform) { p.twice = true }, []string{"one reply per message"}},
		{"API message missing", func(w *world, p *platform) {
			w.receiver.answer = func(m received) (int, string) {
				if strings.HasPrefix(m.Content, "QUERY_AUTH_CODE:") {
					return 200, ""
				}
				return p.answer(m)
			}
		}, []string{"API message (official account)", "API message (mini program)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, _ := newWorld(t, nil)
				p := &platform{w: w}
				w.receiver.answer = p.answer
				c.change(w, p)
				result, err := w.ReleaseCheck(t.Context(), w.component.AppID, simulator.ReleaseCheckOptions{})
				p.work.Wait()
				if err != nil || result.Passed {
					t.Fatalf("result %+v, %v", result, err)
				}
				var failed []string
				for _, step := range result.Steps {
					if !step.OK {
						failed = append(failed, step.Name)
					}
				}
				if !slices.Equal(failed, c.failed) {
					t.Errorf("failed steps %q, want %q", failed, c.failed)
				}
			})
		})
	}
}

func TestReleaseChecksOfDifferentComponentsAtOnce(t *testing.T) {
	t.Parallel()
	w, routes := newWorld(t, nil)
	worlds := []*world{w}
	for _, name := range []string{"Second", "Third"} {
		c := simtest.Register(t, w.Simulator, simtest.Component(name, "http://"+strings.ToLower(name)+".example"))
		worlds = append(worlds, &world{Simulator: w.Simulator, t: t, component: c, receiver: routes.add(t, c), http: w.http})
	}
	var group sync.WaitGroup
	for _, w := range worlds {
		p := &platform{w: w}
		w.receiver.answer = p.answer
		group.Go(func() {
			defer p.work.Wait()
			result, err := w.ReleaseCheck(t.Context(), w.component.AppID, simulator.ReleaseCheckOptions{Group: 1})
			if err != nil || !result.Passed {
				t.Errorf("%s: %+v, %v", w.component.Name, result, err)
			}
		})
	}
	group.Wait()
}

func TestReleaseCheckLeavesOutWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, nil)
	c := w.component
	c.PermissionSets = []int{17}
	simtest.Register(t, w.Simulator, c)
	result, err := w.ReleaseCheck(t.Context(), c.AppID, simulator.ReleaseCheckOptions{Group: 3})
	var names []string
	for _, step := range result.Steps {
		names = append(names, step.Name)
	}
	want := []string{"ticket", "authorized (wx8e1097c5bc82cde9)", "unauthorized (wx8e1097c5bc82cde9)"}
	if err != nil || !result.Passed || !slices.Equal(names, want) {
		t.Errorf("steps %q, %v", names, err)
	}
}
