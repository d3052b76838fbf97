package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// testGroups are the accounts of the five groups of the automatic test before
// publication. Source: third-party platform docs, release instructions, read 2026.
var testGroups = [5]struct{ official, officialUser, mini, miniUser string }{
	{"wx570bc396a51b8ff8", "gh_3c884a361561", "wxd101a85aa106f53e", "gh_8dad206e9538"},
	{"wx9252c5e0bb1836fc", "gh_c0f28a78b318", "wxc39235c15087f6f3", "gh_905ae9d01059"},
	{"wx8e1097c5bc82cde9", "gh_3f222ed8d140", "wx7720d01d4b2a4500", "gh_393666f1fdf4"},
	{"wx14550af28c71a144", "gh_26128078e9ab", "wx05d483572dcd5d8b", "gh_39abb5d4e1b7"},
	{"wxa35b9c23cfe664eb", "gh_2b3713f184a6", "wx5910277cae6fd970", "gh_7818dcb60240"},
}

// apiReplyWait is how long the check waits for the customer-service message; real time.
const apiReplyWait = 5 * time.Second

func (s *Simulator) addTestAccounts() {
	add := func(appid, user, kind string, group int) {
		a := &account{id: uint32(len(s.accountList) + 1), appid: appid, kind: kind, testAccount: true}
		d := a.own()
		d.UserName, d.NickName, d.PrincipalName = user, "全网发布测试 "+strconv.Itoa(group+1), "WeChat"
		s.accounts[appid] = a
		s.accountList = append(s.accountList, a)
	}
	for i, g := range testGroups {
		add(g.official, g.officialUser, OfficialAccount, i)
		add(g.mini, g.miniUser, MiniProgram, i)
	}
}

// ReleaseCheckOptions choose how the check runs.
type ReleaseCheckOptions struct {
	// Group is 1–5; 0 picks one at random, as WeChat does.
	Group int `json:"group"`
	// SkipEvent leaves out the event, which current documentation does not mention.
	SkipEvent bool `json:"skip_event"`
}

// ReleaseCheckResult is the outcome of the check, step by step.
type ReleaseCheckResult struct {
	Passed bool          `json:"passed"`
	Group  int           `json:"group"`
	Steps  []ReleaseStep `json:"steps"`
}

// ReleaseStep is one line of the result.
type ReleaseStep struct {
	Name      string `json:"name"`
	OK        bool   `json:"ok"`
	Detail    string `json:"detail"`
	LatencyMS int64  `json:"latency_ms"`
}

// releaseCheck is one run.
type releaseCheck struct {
	s      *Simulator
	comp   *component
	openid string
	steps  []ReleaseStep
	// expected are the customer-service messages that each account must see, once each.
	expected map[string][]string
}

// ReleaseCheck runs the automatic test before publication (全网发布) against the
// component's URLs. A component that passes is published. Several components may
// be checked at the same time, one component only once.
//
// Its pushes are made once each and no fault strikes them, nor the
// customer-service messages that it waits for.
func (s *Simulator) ReleaseCheck(ctx context.Context, componentAppID string, options ReleaseCheckOptions) (ReleaseCheckResult, error) {
	if options.Group < 0 || options.Group > len(testGroups) {
		return ReleaseCheckResult{}, refuse(http.StatusBadRequest, "group is %d: must be 1 to 5, or 0 for a random one", options.Group)
	}
	if options.Group == 0 {
		options.Group = 1 + int(s.dice.next("release group", "")%uint64(len(testGroups)))
	}
	s.mu.Lock()
	c, err := s.find(componentAppID)
	if err == nil && c.checking {
		err = refuse(http.StatusConflict, "a release check of %s is under way already", componentAppID)
	}
	if err != nil {
		s.mu.Unlock()
		return ReleaseCheckResult{}, err
	}
	c.checking = true
	official, mini := slices.Contains(c.PermissionSets, 1), slices.Contains(c.PermissionSets, 19)
	s.mu.Unlock()

	run := &releaseCheck{
		s: s, comp: c, openid: fmt.Sprintf("oSimTester%016x", s.dice.next("tester", "")), expected: make(map[string][]string),
	}
	run.all(ctx, options, official, mini)
	result := ReleaseCheckResult{Passed: true, Group: options.Group, Steps: run.steps}
	for _, step := range run.steps {
		result.Passed = result.Passed && step.OK
	}
	s.mu.Lock()
	c.checking = false
	if result.Passed {
		published := true
		c.Published = &published
	}
	s.mu.Unlock()
	return result, nil
}

func (r *releaseCheck) all(ctx context.Context, options ReleaseCheckOptions, official, mini bool) {
	g := testGroups[options.Group-1]
	r.ticket(ctx)
	code := r.authorize(ctx, g.official)
	if official {
		r.replies(ctx, "text message", g.official, "TESTCOMPONENT_MSG_TYPE_TEXT_callback", Message{
			Type: "text", Fields: map[string]any{"content": "TESTCOMPONENT_MSG_TYPE_TEXT"},
		})
		r.apiMessage(ctx, "API message (official account)", g.official, code)
	}
	miniCode := ""
	if mini {
		miniCode = r.authorize(ctx, g.mini)
		r.apiMessage(ctx, "API message (mini program)", g.mini, miniCode)
	}
	if official && !options.SkipEvent {
		r.replies(ctx, "event", g.official, "LOCATIONfrom_callback", Message{
			Type: "event", Fields: map[string]any{"event": "LOCATION", "latitude": 23.137466, "longitude": 113.352425, "precision": 119.385040},
		})
	}
	if official || mini {
		r.noSecondReply(g.official, g.mini)
	}
	r.unauthorize(ctx, g.official)
	if mini {
		r.unauthorize(ctx, g.mini)
	}
}

// step records a line.
func (r *releaseCheck) step(name string, started time.Time, problem, detail string) {
	step := ReleaseStep{Name: name, OK: problem == "", Detail: problem, LatencyMS: time.Since(started).Milliseconds()}
	if step.OK {
		step.Detail = detail
	}
	r.steps = append(r.steps, step)
}

// push makes the one attempt that a step has.
func (r *releaseCheck) push(ctx context.Context, p *push) PushResult {
	p.noFaults, p.attempts = true, 1
	return r.s.send(ctx, p)
}

func (r *releaseCheck) ticket(ctx context.Context) {
	started := time.Now()
	r.s.mu.Lock()
	now := r.s.now()
	p := ticketPush(now, r.comp, r.s.issueTicket(r.comp, now))
	r.s.mu.Unlock()
	r.step("ticket", started, r.push(ctx, p).Problem, "component_verify_ticket was answered success")
}

// authorize lets a test account authorize by itself and returns the code.
func (r *releaseCheck) authorize(ctx context.Context, appid string) string {
	started := time.Now()
	r.s.mu.Lock()
	now := r.s.now()
	a := r.s.accounts[appid]
	if auth := a.to(r.comp); auth != nil && auth.standing {
		r.s.revoke(now, auth) // left over from a check that was cut off
	}
	done := r.s.confirm(now, r.comp, a, r.comp.PermissionSets, r.s.issuePreAuthCode(r.comp, now))
	r.s.mu.Unlock()
	r.step("authorized ("+appid+")", started, r.push(ctx, done.push).Problem, "authorized was answered success")
	return done.code
}

// send lets the tester write.
func (r *releaseCheck) send(ctx context.Context, appid string, m Message) (MessageResult, string) {
	m.From, m.ComponentAppID = r.openid, r.comp.appid
	p, err := r.s.messagePush(appid, m)
	if err != nil {
		return MessageResult{}, err.Error()
	}
	p.noFaults, p.attempts = true, 1
	result := r.s.sendMessage(ctx, p)
	return result, result.Problem
}

// replies expects a passive text reply.
func (r *releaseCheck) replies(ctx context.Context, name, appid, want string, m Message) {
	started := time.Now()
	result, problem := r.send(ctx, appid, m)
	switch got, _ := result.Reply["Content"].(string); {
	case problem != "":
	case result.Reply == nil:
		problem = fmt.Sprintf("no passive reply; expected the text %q", want)
	case result.Reply["MsgType"] != "text" || got != want:
		problem = fmt.Sprintf("the passive reply is %v %q instead of text %q", result.Reply["MsgType"], got, want)
	}
	r.step(name, started, problem, "replied "+want)
}

// apiMessage expects no passive reply, and soon a customer-service message.
func (r *releaseCheck) apiMessage(ctx context.Context, name, appid, code string) {
	started := time.Now()
	want := code + "_from_api"
	r.expected[appid] = append(r.expected[appid], want)
	result, problem := r.send(ctx, appid, Message{Type: "text", Fields: map[string]any{"content": "QUERY_AUTH_CODE:" + code}})
	if problem == "" && result.Reply != nil {
		problem = "a passive reply came; the answer must be empty, the text comes through message/custom/send"
	}
	if problem == "" && !r.awaitSent(ctx, appid, want) {
		problem = "no message/custom/send with the code and _from_api to the sender within 5 s of the answer"
	}
	r.step(name, started, problem, "the code came back through message/custom/send")
}

// sentTo lists what the tester was sent by this component.
func (r *releaseCheck) sentTo(appid string) []SentMessage {
	sent, err := r.s.Sent(appid)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(sent, func(m SentMessage) bool { return m.ToUser != r.openid || m.ComponentAppID != r.comp.appid })
}

func (r *releaseCheck) awaitSent(ctx context.Context, appid, want string) bool {
	ctx, cancel := context.WithTimeout(ctx, apiReplyWait)
	defer cancel()
	for {
		if slices.ContainsFunc(r.sentTo(appid), func(m SentMessage) bool { return m.Text != nil && m.Text.Content == want }) {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// noSecondReply fails the run if any message was answered more than once: the
// tester must have been sent exactly the expected texts.
func (r *releaseCheck) noSecondReply(appids ...string) {
	started := time.Now()
	var surplus []string
	for _, appid := range appids {
		want := slices.Clone(r.expected[appid])
		for _, m := range r.sentTo(appid) {
			i := -1
			if m.Text != nil {
				i = slices.Index(want, m.Text.Content)
			}
			if i < 0 {
				surplus = append(surplus, m.kind())
				continue
			}
			want = slices.Delete(want, i, i+1)
		}
	}
	problem := ""
	if len(surplus) > 0 {
		problem = "a message was answered twice, or one that nobody asked for was sent: " + strings.Join(surplus, ", ")
	}
	r.step("one reply per message", started, problem, "nothing was answered twice")
}

func (r *releaseCheck) unauthorize(ctx context.Context, appid string) {
	started := time.Now()
	r.s.mu.Lock()
	p := r.s.revoke(r.s.now(), r.s.accounts[appid].to(r.comp))
	r.s.mu.Unlock()
	r.step("unauthorized ("+appid+")", started, r.push(ctx, p).Problem, "unauthorized was answered success")
}

// kind says what a message is without repeating a code in it.
func (m SentMessage) kind() string {
	if m.Text != nil && strings.HasSuffix(m.Text.Content, "_from_api") {
		return "text …_from_api"
	}
	return m.MsgType
}
