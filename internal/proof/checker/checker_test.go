package checker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/internal/proof/history"
)

const (
	ms  = time.Millisecond
	one = "wx1"
	two = "wx2"
)

// story is a history made by hand. Time passes as the story says.
type story struct {
	now     time.Duration
	seq, id uint64
	events  []history.Event
}

func (s *story) add(e history.Event) *story {
	s.seq++
	s.now += 10 * time.Microsecond
	e.Seq, e.At = s.seq, s.now
	s.events = append(s.events, e)
	return s
}

func (s *story) wait(d time.Duration) *story { s.now += d; return s }

// begin is a platform of the given kind and one process, "0.1".
func begin(rotation, tells string) *story {
	s := new(story)
	s.add(history.Event{Kind: history.Platform, Rotation: rotation, List: tells, Info: tells, Grace: 600 * time.Second})
	return s.start("0.1")
}

func (s *story) start(process string) *story {
	return s.add(history.Event{Kind: history.Start, Process: process})
}

func (s *story) kill(process string) *story {
	s.add(history.Event{Kind: history.Kill, Process: process})
	return s.add(history.Event{Kind: history.Gone, Process: process, Note: "signal: killed"})
}

// confirm is a merchant's confirmation: a grant, its refresh token and its code.
func (s *story) confirm(m string, grant, refresh uint32) *story {
	s.add(history.Event{Kind: history.State, Merchant: m, State: "authorized", Grant: grant})
	s.add(history.Event{Kind: history.Issue, Merchant: m, Secret: history.RefreshToken, Number: refresh, Grant: grant})
	return s.add(history.Event{Kind: history.Issue, Merchant: m, Secret: history.Code, Number: grant, Grant: grant})
}

func (s *story) pushed(m string, grant uint32) *story {
	return s.add(history.Event{Kind: history.Push, Merchant: m, Event: "authorized", Number: grant, Grant: grant, MsgID: "1", Accepted: true})
}

// exchange turns a code into tokens at a process.
func (s *story) exchange(process, m string, grant, refresh, access uint32) *story {
	s.id++
	s.add(history.Event{Kind: history.Request, ID: s.id, Op: history.OpCode, Process: process, Merchant: m, Number: grant})
	s.add(history.Event{Kind: history.Issue, Merchant: m, Secret: history.AccessToken, Number: access, Grant: grant})
	return s.add(history.Event{Kind: history.Reply, ID: s.id, Op: history.OpCode, Process: process, Merchant: m, From: s.now, Sent: true, Refresh: refresh, Access: access, Grant: grant})
}

// asks is a request for a refresh, whose number is returned.
func (s *story) asks(process, m string, number uint32) uint64 {
	s.id++
	s.add(history.Event{Kind: history.Request, ID: s.id, Op: history.OpRefresh, Process: process, Merchant: m, Number: number})
	return s.id
}

// answers is a reply to it with the next tokens.
func (s *story) answers(id uint64, process, m string, refresh, access uint32) *story {
	s.add(history.Event{Kind: history.Issue, Merchant: m, Secret: history.RefreshToken, Number: refresh, Grant: 1})
	s.add(history.Event{Kind: history.Issue, Merchant: m, Secret: history.AccessToken, Number: access, Grant: 1})
	return s.add(history.Event{Kind: history.Reply, ID: id, Op: history.OpRefresh, Process: process, Merchant: m, From: s.now, Sent: true, Refresh: refresh, Access: access, Grant: 1})
}

func (s *story) refresh(process, m string, number uint32) *story {
	return s.answers(s.asks(process, m, number), process, m, number+1, number+1)
}

func (s *story) denied(process, m string, number uint32) *story {
	id := s.asks(process, m, number)
	s.add(history.Event{Kind: history.Answering, ID: id, Errcode: 61023})
	return s.add(history.Event{Kind: history.Reply, ID: id, Op: history.OpRefresh, Process: process, Merchant: m, From: s.now, Sent: true, Errcode: 61023})
}

func (s *story) list(process string) *story {
	s.id++
	s.add(history.Event{Kind: history.Request, ID: s.id, Op: history.OpList, Process: process})
	return s.add(history.Event{Kind: history.Reply, ID: s.id, Op: history.OpList, Process: process, Sent: true})
}

// hands is a token handed out that is good for a minute, unless change says otherwise.
func (s *story) hands(process, m string, access uint32, change ...func(*history.Event)) *story {
	e := history.Event{Kind: history.Answer, Op: history.OpGet, Process: process, Merchant: m, From: s.now, Result: history.OK, Status: 200, Access: access, Left: time.Minute}
	for _, f := range change {
		f(&e)
	}
	return s.add(e)
}

func (s *story) fault(name string, on bool) *story {
	return s.add(history.Event{Kind: history.Fault, Fault: name, On: on})
}

func (s *story) lost(m string) *story {
	return s.add(history.Event{Kind: history.Lost, Merchant: m})
}

func (s *story) settled(m, result string) *story {
	e := history.Event{Kind: history.Settled, Merchant: m, Result: result, State: "active"}
	if result != history.OK {
		e.Note = "a refresh is denied"
	}
	return s.add(e)
}

// usual is a merchant who has authorized, and whose first tokens are handed out.
func usual(rotation, tells string) *story {
	return begin(rotation, tells).confirm(one, 1, 1).pushed(one, 1).exchange("0.1", one, 1, 1, 1).hands("0.1", one, 1)
}

func judge(s *story) checker.Report {
	c := checker.New(checker.Config{})
	for _, e := range s.events {
		c.Add(e)
	}
	c.Add(history.Event{Kind: history.End, Seq: s.seq + 1, At: s.now + ms})
	return c.Finish()
}

func dead(code int) func(*history.Event) {
	return func(e *history.Event) { e.Errcode, e.Left = code, 0 }
}

func shows(state string) func(*history.Event) {
	return func(e *history.Event) { e.Result, e.Status, e.Access, e.State = history.Refused, 409, 0, state }
}

func (s *story) ticket(number uint32) *story {
	return s.add(history.Event{Kind: history.Push, Event: "component_verify_ticket", Number: number, MsgID: string(rune('0' + number)), Accepted: true})
}

func (s *story) mint(ticket uint32, errcode int) *story {
	s.id++
	s.add(history.Event{Kind: history.Request, ID: s.id, Op: history.OpMint, Process: "0.1", Number: ticket})
	return s.add(history.Event{Kind: history.Reply, ID: s.id, Op: history.OpMint, Process: "0.1", Sent: true, Errcode: errcode})
}

func (s *story) revoke(m string, grant uint32) *story {
	s.add(history.Event{Kind: history.State, Merchant: m, State: "unauthorized", Grant: grant})
	return s.add(history.Event{Kind: history.Push, Merchant: m, Event: "unauthorized", Grant: grant, MsgID: "1", Accepted: true})
}

func (s *story) stored(event, merchant, id, key string) *story {
	return s.add(history.Event{Kind: history.Stored, Event: event, Merchant: merchant, MsgID: id, Note: key})
}

func (s *story) forged(note, digest string, accepted bool) *story {
	return s.add(history.Event{Kind: history.Forged, Process: "0.1", Status: 403, Note: note, Digest: digest, Accepted: accepted})
}

// TestInvariants tells one story in which each invariant holds and some in which it
// does not.
func TestInvariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		story *story
		want  []string // invariants violated, in order
	}{
		"INV-1: a token handed out survives the kill": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).kill("0.1").start("0.2").refresh("0.2", one, 2).hands("0.2", one, 3).settled(one, history.OK),
		},
		"INV-1: it does not": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).kill("0.1").start("0.2").lost(one),
			want:  []string{"INV-1"},
		},
		"INV-1: it does not, as only the end shows": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).kill("0.1").start("0.2").settled(one, history.Refused),
			want:  []string{"INV-1"},
		},
		"INV-1: it was given up before the caller had told that he got it": {
			story: func() *story {
				s := usual("rotate-strict", "empty").refresh("0.1", one, 1)
				asked := s.now
				return s.kill("0.1").start("0.2").lost(one).hands("0.1", one, 2, func(e *history.Event) { e.From = asked })
			}(),
			want: []string{"INV-1"},
		},
		"INV-1b: a kill within the window is nobody's fault": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).wait(40*ms).kill("0.1").start("0.2").denied("0.2", one, 1).lost(one),
		},
		"INV-1b: a kill behind the window": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).wait(60*ms).kill("0.1").start("0.2").denied("0.2", one, 1).lost(one),
			want:  []string{"INV-1b"},
		},
		"INV-1b: the process was frozen in the window": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(time.Second).
				add(history.Event{Kind: history.Continue, Process: "0.1"}).wait(20 * ms).kill("0.1").start("0.2").lost(one),
		},
		"INV-1b: frozen, and then it had all the time it needs": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(time.Second).
				add(history.Event{Kind: history.Continue, Process: "0.1"}).wait(70 * ms).kill("0.1").start("0.2").lost(one),
			want: []string{"INV-1b"},
		},
		"INV-1b: the database was gone, and the kill came before the spill had to be written": {
			story: usual("rotate-strict", "empty").fault("store_cut", true).refresh("0.1", one, 1).wait(2 * time.Second).kill("0.1").start("0.2").lost(one),
		},
		"INV-1b: the database was gone, and there is nothing in the spill": {
			story: usual("rotate-strict", "empty").fault("store_cut", true).refresh("0.1", one, 1).wait(4 * time.Second).kill("0.1").start("0.2").lost(one),
			want:  []string{"INV-1b"},
		},
		"INV-1b: with an old token that is still good it has to recover": {
			story: usual("rotate-grace", "empty").refresh("0.1", one, 1).kill("0.1").start("0.2").lost(one),
			want:  []string{"INV-1"},
		},
		"INV-1b: two replies in a row were lost, and the old token is beyond its grace": {
			story: usual("rotate-grace", "empty").refresh("0.1", one, 1).kill("0.1").start("0.2").
				answersTo("0.2", one, 1, 3).kill("0.2").start("0.3").lost(one),
		},
		"INV-1b: with a platform that tells the newest token it has to recover": {
			story: usual("rotate-strict", "newest").refresh("0.1", one, 1).kill("0.1").start("0.2").lost(one),
			want:  []string{"INV-1b"},
		},
		"INV-1b: with a refresh token that never changes it has to recover": {
			story: begin("static", "empty").confirm(one, 1, 1).pushed(one, 1).exchange("0.1", one, 1, 1, 1).wait(time.Second).kill("0.1").start("0.2").lost(one),
			want:  []string{"INV-1b"},
		},
		"INV-1b: the reply never left the platform": {
			story: func() *story {
				s := usual("rotate-strict", "empty")
				id := s.asks("0.1", one, 1)
				s.add(history.Event{Kind: history.Issue, Merchant: one, Secret: history.RefreshToken, Number: 2, Grant: 1})
				s.wait(time.Second).kill("0.1").add(history.Event{Kind: history.Reply, ID: id, Op: history.OpRefresh, Process: "0.1", Merchant: one})
				return s.start("0.2").lost(one)
			}(),
		},
		"INV-1b: the connection to the platform was cut while the reply was on its way": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).fault("platform_cut", true).wait(time.Second).kill("0.1").start("0.2").lost(one),
		},
		"INV-2: an older token after a denial of the newer one": {
			story: usual("rotate-strict", "newest").refresh("0.1", one, 1).hands("0.1", one, 2).denied("0.1", one, 2).denied("0.1", one, 1),
		},
		"INV-2: an older token for no reason": {
			story: usual("rotate-strict", "newest").refresh("0.1", one, 1).hands("0.1", one, 2).wait(time.Second).denied("0.1", one, 1),
			want:  []string{"INV-2"},
		},
		"INV-2: an older token, from a process that died before the newer one was told": {
			story: usual("rotate-strict", "newest").kill("0.1").start("0.2").refresh("0.2", one, 1).hands("0.2", one, 2).denied("0.1", one, 1),
		},
		"INV-2: an older token, over a connection that had stood still": {
			story: usual("rotate-strict", "newest").start("1.1").fault("platform_half_open", true).refresh("1.1", one, 1).hands("1.1", one, 2).
				fault("platform_half_open", false).denied("0.1", one, 1),
		},
		"INV-2: an older token long after a connection had stood still": {
			story: usual("rotate-strict", "newest").start("1.1").fault("platform_half_open", true).fault("platform_half_open", false).wait(time.Second).
				refresh("1.1", one, 1).hands("1.1", one, 2).wait(time.Second).denied("0.1", one, 1),
			want: []string{"INV-2"},
		},
		"INV-2: an older token, and the denial of the newer one is being told": {
			story: func() *story {
				s := usual("rotate-strict", "newest").refresh("0.1", one, 1).hands("0.1", one, 2)
				id := s.asks("0.1", one, 2)
				s.add(history.Event{Kind: history.Answering, ID: id, Errcode: 61023})
				s.asks("0.1", one, 1)
				return s
			}(),
		},
		"INV-3: a refresh without a token": {
			story: func() *story { s := usual("rotate-strict", "empty"); s.asks("0.1", one, 0); return s }(),
			want:  []string{"INV-3"},
		},
		"INV-4: parked when nothing is left": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).kill("0.1").start("0.2").denied("0.2", one, 1).wait(2*time.Minute).hands("0.2", one, 0, shows("needs_reauthorization")),
		},
		"INV-4: parked though the token is there": {
			story: usual("rotate-strict", "empty").wait(2*time.Minute).hands("0.1", one, 0, shows("needs_reauthorization")),
			want:  []string{"INV-4"},
		},
		"INV-4: parked after a revocation": {
			story: usual("rotate-strict", "empty").revoke(one, 1).wait(2*time.Minute).hands("0.1", one, 0, shows("needs_reauthorization")),
		},
		"INV-4: a false alarm that is over soon": {
			story: usual("rotate-strict", "empty").wait(30*time.Second).hands("0.1", one, 0, shows("needs_reauthorization")),
		},
		"INV-6: one after the other": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).refresh("0.1", one, 2),
		},
		"INV-6: two at once": {
			story: func() *story {
				s := usual("rotate-strict", "empty").start("1.1")
				s.asks("0.1", one, 1)
				s.asks("1.1", one, 1)
				return s
			}(),
			want: []string{"INV-6"},
		},
		"INV-6: two at once, one by the dead": {
			story: func() *story {
				s := usual("rotate-strict", "empty")
				s.asks("0.1", one, 1)
				s.kill("0.1").start("0.2").asks("0.2", one, 1)
				return s
			}(),
		},
		"INV-6: two at once, because the holder was frozen": {
			story: func() *story {
				s := usual("rotate-strict", "empty").start("1.1")
				s.asks("0.1", one, 1)
				s.add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(16*time.Second).asks("1.1", one, 1)
				return s
			}(),
		},
		"INV-6: three at once, whoever was frozen": {
			story: func() *story {
				s := usual("rotate-strict", "empty").start("1.1").start("2.1")
				s.asks("0.1", one, 1)
				s.add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(16*time.Second).asks("1.1", one, 1)
				s.asks("2.1", one, 1)
				return s
			}(),
			want: []string{"INV-6"},
		},
		"INV-6: two merchants at once": {
			story: func() *story {
				s := usual("rotate-strict", "empty").confirm(two, 1, 1)
				s.asks("0.1", one, 1)
				s.asks("0.1", two, 1)
				return s
			}(),
		},
		"INV-8: an expired token": {
			story: usual("rotate-strict", "empty").wait(time.Hour).hands("0.1", one, 1, dead(42001)),
			want:  []string{"INV-8"},
		},
		"INV-8: an expired token, by a process that was frozen": {
			story: func() *story {
				s := usual("rotate-strict", "empty")
				asked := s.now
				s.add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(time.Hour).add(history.Event{Kind: history.Continue, Process: "0.1"})
				return s.hands("0.1", one, 1, dead(42001), func(e *history.Event) { e.From = asked })
			}(),
		},
		"INV-8: a token that dies too soon": {
			story: usual("rotate-strict", "empty").hands("0.1", one, 1, func(e *history.Event) { e.Left = 9 * time.Second }),
			want:  []string{"INV-8"},
		},
		"INV-8: the answer was on its way for as long": {
			story: func() *story {
				s := usual("rotate-strict", "empty")
				asked := s.now
				return s.wait(2*time.Second).hands("0.1", one, 1, func(e *history.Event) { e.From, e.Left = asked, 9*time.Second })
			}(),
		},
		"INV-8: replaced by one that everybody has": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).wait(3*time.Second).hands("0.1", one, 1, dead(40001)),
			want:  []string{"INV-8"},
		},
		"INV-8: replaced just now": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).wait(time.Second).hands("0.1", one, 1, dead(40001)),
		},
		"INV-8: replaced by one with which it lived on for a while": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).wait(3*time.Second).hands("0.1", one, 1).wait(time.Second).hands("0.1", one, 1, dead(40001)),
		},
		"INV-8: replaced just before the store went away": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).wait(time.Second).fault("store_power", true).wait(time.Minute).hands("0.1", one, 1, dead(40001)),
		},
		"INV-8: replaced by one that was to be had between two outages": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).wait(time.Second).fault("store_cut", true).wait(time.Minute).fault("store_cut", false).
				wait(1500*time.Millisecond).fault("store_kill", true).wait(time.Second).hands("0.1", one, 1, dead(40001)),
			want: []string{"INV-8"},
		},
		"INV-8: replaced by one that died with its process": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).kill("0.1").start("0.2").wait(3*time.Second).hands("0.2", one, 1, dead(40001)),
		},
		"INV-8: killed by a new grant that was acknowledged": {
			story: usual("rotate-strict", "empty").confirm(one, 2, 2).pushed(one, 2).wait(3*time.Second).hands("0.1", one, 1, dead(40001)),
			want:  []string{"INV-8"},
		},
		"INV-8: killed by a new grant of which nobody has heard": {
			story: usual("rotate-strict", "empty").confirm(one, 2, 2).wait(3*time.Second).hands("0.1", one, 1, dead(40001)),
		},
		"INV-8: dead for no reason": {
			story: usual("rotate-strict", "empty").hands("0.1", one, 1, dead(40001)),
			want:  []string{"INV-8"},
		},
		"INV-8: died early, as the platform pleases": {
			story: begin("rotate-strict", "empty").confirm(one, 1, 1).pushed(one, 1).add(history.Event{Kind: history.Dies, Merchant: one}).
				exchange("0.1", one, 1, 1, 1).hands("0.1", one, 1, dead(40001)),
		},
		"INV-9: a token after the revocation": {
			story: usual("rotate-strict", "empty").revoke(one, 1).wait(1500*ms).hands("0.1", one, 1, dead(40001)),
			want:  []string{"INV-9"},
		},
		"INV-9: a token within a second": {
			story: usual("rotate-strict", "empty").revoke(one, 1).wait(500*ms).hands("0.1", one, 1, dead(40001)),
		},
		"INV-9: a token of the grant after it": {
			story: usual("rotate-strict", "empty").revoke(one, 1).confirm(one, 2, 2).pushed(one, 2).exchange("0.1", one, 2, 2, 2).wait(time.Minute).hands("0.1", one, 2),
		},
		"INV-10: all is well": {
			story: usual("rotate-strict", "empty").settled(one, history.OK),
		},
		"INV-10: served after a revocation": {
			story: usual("rotate-strict", "empty").revoke(one, 1).settled(one, history.Refused),
			want:  []string{"INV-10"},
		},
		"INV-10: not well though the platform tells the token": {
			story: usual("rotate-strict", "newest").refresh("0.1", one, 1).kill("0.1").start("0.2").wait(time.Minute).settled(one, history.Refused),
			want:  []string{"INV-10"},
		},
		"INV-10: the token is there, and the server does not come to use it": {
			story: usual("rotate-strict", "empty").add(history.Event{Kind: history.Settled, Merchant: one, Result: history.Refused}),
			want:  []string{"INV-10"},
		},
		"INV-1b: only the end shows that it is lost": {
			story: usual("rotate-strict", "empty").refresh("0.1", one, 1).wait(60*ms).kill("0.1").start("0.2").settled(one, history.Refused),
			want:  []string{"INV-1b"},
		},
		"INV-11: newer tickets": {
			story: begin("static", "newest").ticket(1).mint(1, 0).ticket(2).wait(3*time.Second).mint(2, 0),
		},
		"INV-11: an older ticket": {
			story: begin("static", "newest").ticket(1).ticket(2).wait(3*time.Second).mint(1, 0),
			want:  []string{"INV-11"},
		},
		"INV-11: an older ticket after the newer one was refused": {
			story: begin("static", "newest").ticket(1).ticket(2).wait(3*time.Second).mint(2, 61006).mint(1, 0),
		},
		"INV-13: what was acknowledged is there": {
			story: usual("rotate-strict", "empty").ticket(1).stored("authorized", one, "1", "a").stored("component_verify_ticket", "", "1", "b"),
		},
		"INV-13: what was acknowledged is not there": {
			story: usual("rotate-strict", "empty").ticket(1).stored("authorized", one, "1", "a"),
			want:  []string{"INV-13"},
		},
		"INV-13: the code of an acknowledged push is forgotten": {
			story: begin("rotate-strict", "empty").confirm(one, 1, 1).pushed(one, 1).wait(time.Minute).settled(one, history.Refused),
			want:  []string{"INV-13"},
		},
		"INV-14: an answer in time": {
			story: begin("static", "newest").wait(5 * time.Second).add(history.Event{Kind: history.Took, Process: "0.1", From: time.Second, Status: 200}),
		},
		"INV-15: one push, stored twice": {
			story: begin("static", "newest").ticket(1).stored("component_verify_ticket", "", "1", "a").stored("component_verify_ticket", "", "1", "b"),
			want:  []string{"INV-15"},
		},
		"INV-19: a forged push is taken": {
			story: begin("static", "newest").forged("a wrong signature", "d", true),
			want:  []string{"INV-19"},
		},
		"INV-21: all refusals are the same": {
			story: begin("static", "newest").forged("a wrong signature", "d", false).forged("no signature", "d", false),
		},
		"INV-21: two refusals differ": {
			story: begin("static", "newest").forged("a wrong signature", "d", false).forged("no signature", "e", false),
			want:  []string{"INV-21"},
		},
		"INV-22: a secret is found": {
			story: begin("static", "newest").add(history.Event{Kind: history.Found, Note: "the log"}),
			want:  []string{"INV-22"},
		},
		"INV-23: somebody else's access token": {
			story: usual("rotate-strict", "empty").hands("0.1", one, 0),
			want:  []string{"INV-23"},
		},
		"INV-23: somebody else's refresh token": {
			story: usual("rotate-strict", "empty").add(history.Event{Kind: history.Request, ID: 99, Op: history.OpRefresh, Process: "0.1", Merchant: one, Note: "it is that of wx2"}),
			want:  []string{"INV-23"},
		},
		"INV-28: an answer waits for the lease of a dead process": {
			story: func() *story {
				s := usual("rotate-strict", "empty").start("1.1").kill("0.1")
				asked := s.now
				return s.wait(15*time.Second).hands("1.1", one, 1, func(e *history.Event) { e.From = asked })
			}(),
		},
		"INV-28: an answer waits for longer than any lease": {
			story: func() *story {
				s := usual("rotate-strict", "empty").start("1.1").kill("0.1")
				asked := s.now
				return s.wait(20*time.Second).hands("1.1", one, 1, func(e *history.Event) { e.From = asked })
			}(),
			want: []string{"INV-28"},
		},
		"INV-28: a refusal though nothing is wrong": {
			story: usual("rotate-strict", "empty").wait(3*time.Minute).hands("0.1", one, 0, func(e *history.Event) { e.Result, e.Status = history.Refused, 503 }),
			want:  []string{"INV-28"},
		},
		"INV-31: after a restore the list is read first": {
			story: usual("rotate-strict", "newest").add(history.Event{Kind: history.Restored}).start("0.2").list("0.2").refresh("0.2", one, 1),
		},
		"INV-31: a refresh before the list is read": {
			story: usual("rotate-strict", "newest").add(history.Event{Kind: history.Restored}).start("0.2").refresh("0.2", one, 1),
			want:  []string{"INV-31"},
		},
		"a refusal while something is wrong": {
			story: usual("rotate-strict", "empty").wait(3*time.Minute).fault("store_cut", true).wait(time.Second).
				hands("0.1", one, 0, func(e *history.Event) { e.Result, e.Status = history.Refused, 503 }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, v := range judge(c.story).Violations {
				got = append(got, v.Invariant)
				if len(v.Events) == 0 || v.Message == "" {
					t.Errorf("%v says too little", v)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, judge(c.story).Violations)
			}
		})
	}
}

// answersTo is a refresh with an older token, which the platform still takes.
func (s *story) answersTo(process, m string, presented, next uint32) *story {
	return s.answers(s.asks(process, m, presented), process, m, next, next)
}

// TestDeadlineOfPushes is INV-14, whose story needs a process that is not frozen.
func TestDeadlineOfPushes(t *testing.T) {
	t.Parallel()
	late := begin("static", "newest").wait(5 * time.Second)
	late.add(history.Event{Kind: history.Took, Process: "0.1", From: 10 * ms, Status: 200})
	if got := judge(late).Violations; len(got) != 1 || got[0].Invariant != "INV-14" {
		t.Errorf("a push answered after 5 s: %v", got)
	}
	frozen := begin("static", "newest").add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(5 * time.Second).add(history.Event{Kind: history.Continue, Process: "0.1"})
	frozen.add(history.Event{Kind: history.Took, Process: "0.1", From: 10 * ms, Status: 200})
	if got := judge(frozen).Violations; len(got) != 0 {
		t.Errorf("a push answered late by a process that was frozen: %v", got)
	}
}

// TestWhatIsBeyondSaving counts what the invariants do not cover, apart by its cause.
func TestWhatIsBeyondSaving(t *testing.T) {
	t.Parallel()
	base := func() *story { return usual("rotate-strict", "empty") }
	unanswered := base()
	id := unanswered.asks("0.1", one, 1)
	unanswered.add(history.Event{Kind: history.Issue, Merchant: one, Secret: history.RefreshToken, Number: 2, Grant: 1}).kill("0.1").
		add(history.Event{Kind: history.Reply, ID: id, Op: history.OpRefresh, Process: "0.1", Merchant: one}).lost(one)
	for class, s := range map[string]*story{
		"window":     base().refresh("0.1", one, 1).wait(3 * ms).kill("0.1").lost(one),
		"slow":       base().fault("slow_machine", true).refresh("0.1", one, 1).wait(300 * ms).kill("0.1").lost(one),
		"cut":        base().fault("platform_half_open", true).refresh("0.1", one, 1).wait(300 * ms).kill("0.1").lost(one),
		"unanswered": unanswered,
	} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			r := judge(s)
			if len(r.Violations) > 0 {
				t.Errorf("violations: %v", r.Violations)
			}
			if diff := cmp.Diff(map[string]int{class: 1}, r.Lost); diff != "" {
				t.Error(diff)
			}
		})
	}
	if r := judge(base().refresh("0.1", one, 1).wait(3 * ms).kill("0.1").lost(one)); r.Gaps.Under5ms != 1 || r.KillsInFlight != 1 || r.InWindow != 1 {
		t.Errorf("a kill 3 ms after the reply: %+v", r)
	}
}

// TestCutOff refuses a history that nobody has ended, and replies out of nowhere.
func TestCutOff(t *testing.T) {
	t.Parallel()
	c := checker.New(checker.Config{})
	c.Add(history.Event{Kind: history.Reply, ID: 7, Seq: 1, At: 1})
	got := c.Finish().Violations
	if len(got) != 2 || !slices.ContainsFunc(got, func(v checker.Violation) bool { return strings.Contains(v.Message, "cut off") }) {
		t.Errorf("violations: %v", got)
	}
}

// TestTotal sums up.
func TestTotal(t *testing.T) {
	t.Parallel()
	a := judge(usual("rotate-strict", "empty").refresh("0.1", one, 1).hands("0.1", one, 2).kill("0.1").lost(one))
	b := judge(usual("rotate-strict", "empty").refresh("0.1", one, 1).kill("0.1").lost(one))
	total := checker.Report{}.Add(a).Add(b)
	if total.Kills != 2 || total.LostTokens() != 1 || total.Lost["window"] != 1 || total.Refreshes != 2 || total.Answers != a.Answers+b.Answers {
		t.Errorf("total: %+v", total)
	}
	if s := total.Summary(); !strings.Contains(s, "1 tokens lost") || !strings.Contains(s, "2 kills") {
		t.Error(s)
	}
}
