package checker_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/checker"
	"github.com/tuoguan/tuoguan/internal/proof/history"
)

const (
	steady  = "steady"  // has subscribed to everything
	ordered = "ordered" // likewise, of merchant one alone and in order
)

// audience is a platform, a process and two subscribers, of whom everybody has heard.
func audience() *story {
	s := begin("rotate-strict", "empty")
	s.add(history.Event{Kind: history.Subscribed, Subscriber: steady, Topics: []string{"*"}, Left: 2 * time.Second})
	s.add(history.Event{Kind: history.Subscribed, Subscriber: ordered, Topics: []string{"te*", "event.CLICK"}, Merchants: []string{one}, Ordered: true, Left: 2 * time.Second})
	return s.wait(5 * time.Second)
}

// numberOf is by what the store knows a message.
func numberOf(m string, number int64) uint32 {
	if m == one {
		return uint32(number)
	}
	return uint32(1000 + number)
}

func eventID(m string, sequence int64) string { return "evt_" + m + strconv.FormatInt(sequence, 10) }

// writes is a message that a server acknowledges after a while.
func (s *story) writes(m string, number int64, took time.Duration) *story {
	from := s.now
	s.wait(took)
	return s.add(history.Event{Kind: history.Push, Process: "0.1", From: from, Event: "text", Merchant: m, MsgID: strconv.FormatInt(number, 10), Attempt: 1, Accepted: true, Status: 200})
}

// gets is a delivery of the message of that number, unless change says otherwise.
func (s *story) gets(subscriber, m string, number int64, status int, change ...func(*history.Event)) *story {
	s.id++
	e := history.Event{
		Kind: history.Delivered, ID: s.id, Subscriber: subscriber, Merchant: m, Topic: "text", Number: numberOf(m, number), EventID: eventID(m, number), Sequence: number,
		MsgID: strconv.FormatInt(number, 10), Attempt: 1, Digest: "d" + strconv.FormatInt(number, 10), Status: status, From: s.now,
	}
	for _, f := range change {
		f(&e)
	}
	s.wait(ms)
	return s.add(e)
}

// has is a message in the store, at the end.
func (s *story) has(m string, number int64, change ...func(*history.Event)) *story {
	e := history.Event{
		Kind: history.Stored, Event: "text", Topic: "text", Merchant: m, MsgID: strconv.FormatInt(number, 10), Number: numberOf(m, number), EventID: eventID(m, number), Sequence: number,
		Note: m + "/" + strconv.FormatInt(number, 10), From: 10 * time.Second,
	}
	for _, f := range change {
		f(&e)
	}
	return s.add(e)
}

func (s *story) listed(subscriber, m string, number int64, state string) *story {
	return s.add(history.Event{Kind: history.Listed, Subscriber: subscriber, Number: numberOf(m, number), State: state})
}

// TestArrivals judges histories in which all is well, and such in which something is not.
func TestArrivals(t *testing.T) {
	t.Parallel()
	taken := func(s *story, m string, numbers ...int64) *story {
		for _, n := range numbers {
			s.writes(m, n, 5*ms).gets(steady, m, n, 204)
			if m == one {
				s.gets(ordered, m, n, 204)
			}
		}
		return s
	}
	in := func(s *story, m string, numbers ...int64) *story {
		for _, n := range numbers {
			s.has(m, n)
		}
		return s
	}
	for name, c := range map[string]struct {
		story *story
		wants string // "": nothing
	}{
		"all is well":                           {in(in(taken(taken(audience(), one, 1, 2, 3), two, 1, 2), one, 1, 2, 3), two, 1, 2), ""},
		"refused, then taken":                   {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).gets(steady, two, 1, 0).gets(steady, two, 1, 200), two, 1), ""},
		"dead, and listed":                      {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).listed(steady, two, 1, "dead"), two, 1), ""},
		"not acknowledged, and nowhere":         {audience().add(history.Event{Kind: history.Push, Process: "0.1", From: 5 * time.Second, Event: "text", Merchant: one, MsgID: "9", Attempt: 1, Status: 500}), ""},
		"of another kind":                       {in(taken(audience(), one, 1), one, 1).has(one, 2, func(e *history.Event) { e.Topic = "image" }).gets(steady, one, 2, 200, func(e *history.Event) { e.Topic = "image" }), ""},
		"a ticket":                              {in(audience(), two).has(two, 1, func(e *history.Event) { e.Topic = "component_verify_ticket" }), ""},
		"before anybody had subscribed":         {audience().has(two, 1, func(e *history.Event) { e.From = ms }), ""},
		"acknowledged and not stored":           {audience().writes(two, 1, ms).has(two, 2, func(e *history.Event) { e.Sequence = 1 }).gets(steady, two, 2, 200, func(e *history.Event) { e.Sequence = 1 }), "INV-13 "},
		"delivered and not stored":              {in(taken(audience(), two, 1).gets(steady, two, 2, 200), two, 1), "INV-13 "},
		"answered late":                         {in(audience().writes(two, 1, 4600*ms).gets(steady, two, 1, 200), two, 1), "INV-14 "},
		"not answered at all":                   {audience().add(history.Event{Kind: history.Push, Process: "0.1", From: ms, Event: "text", Merchant: one, MsgID: "9", Attempt: 1}), "INV-14 "},
		"not answered, having been killed":      {audience().kill("0.1").add(history.Event{Kind: history.Push, Process: "0.1", From: ms, Event: "text", Merchant: one, MsgID: "9", Attempt: 1}), ""},
		"another id the second time":            {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).gets(steady, two, 1, 200, func(e *history.Event) { e.EventID = "x" }), two, 1), "INV-17 "},
		"one id for two":                        {in(taken(audience(), two, 1, 2).gets(steady, two, 3, 200, func(e *history.Event) { e.EventID = eventID(two, 1) }), two, 1, 2), "INV-15 "},
		"two events of one message":             {in(taken(audience(), two, 1), two, 1, 2).gets(steady, two, 2, 200, func(e *history.Event) { e.MsgID = "1" }), "INV-15 "},
		"one message stored twice":              {in(taken(audience(), two, 1, 2), two, 1).has(two, 2, func(e *history.Event) { e.MsgID = "1" }), "INV-15 "},
		"never delivered":                       {in(audience().writes(two, 1, ms), two, 1), "INV-16 "},
		"delivered to one of two":               {in(audience().writes(one, 1, ms).gets(steady, one, 1, 200), one, 1), "INV-16 "},
		"refused and forgotten":                 {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500), two, 1), "INV-16 "},
		"a redirect taken for a delivery":       {in(audience().writes(two, 1, ms).gets(steady, two, 1, 302), two, 1), "INV-16 "},
		"pending for ever":                      {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).listed(steady, two, 1, "pending"), two, 1), "INV-16 "},
		"to somebody who does not want it":      {in(taken(audience(), two, 1).gets(ordered, two, 1, 200), two, 1), "INV-16 "},
		"of a kind that nobody wants":           {in(taken(audience(), one, 1).gets(ordered, one, 1, 200, func(e *history.Event) { e.Topic, e.EventID, e.Number = "image", "x", 77 }), one, 1), "INV-16 "},
		"a signature that is not good":          {in(audience().writes(two, 1, ms).gets(steady, two, 1, 200, func(e *history.Event) { e.Note = "its signature is not good" }).gets(steady, two, 1, 200), two, 1), "INV-16 "},
		"twice, without a reason":               {in(taken(audience(), two, 1).wait(time.Second).gets(steady, two, 1, 200), two, 1), "INV-17 "},
		"twice, by a death":                     {in(taken(audience(), two, 1).kill("0.1").wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, on a slow machine":              {in(taken(audience().fault("slow_machine", true), two, 1).wait(time.Second).gets(steady, two, 1, 200), two, 1), "INV-17 "},
		"twice, by a death later on a slow one": {in(taken(audience().fault("slow_machine", true), two, 1).wait(time.Second).kill("0.1").wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, by a death long after":          {in(taken(audience(), two, 1).wait(time.Second).kill("0.1").gets(steady, two, 1, 200), two, 1), "INV-17 "},
		"twice, by a pause":                     {in(taken(audience(), two, 1).add(history.Event{Kind: history.Stop, Process: "0.1"}).wait(time.Minute).gets(steady, two, 1, 200), two, 1), ""},
		"twice, by a pause that was over":       {in(taken(audience().add(history.Event{Kind: history.Stop, Process: "0.1"}).add(history.Event{Kind: history.Continue, Process: "0.1"}).wait(time.Second), two, 1).wait(time.Second).gets(steady, two, 1, 200), two, 1), "INV-17 "},
		"twice, the store being away":           {in(taken(audience().fault("store_stall", true), two, 1).fault("store_stall", false).wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, the subscriber having died":     {in(taken(audience(), two, 1).add(history.Event{Kind: history.Fault, Fault: "receiver_down", Process: steady, On: true}).wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, another having died":            {in(taken(audience(), two, 1).add(history.Event{Kind: history.Fault, Fault: "receiver_down", Process: ordered, On: true}).wait(time.Second).gets(steady, two, 1, 200), two, 1), "INV-17 "},
		"twice, not having been heard":          {in(audience().writes(two, 1, ms).gets(steady, two, 1, 200).add(history.Event{Kind: history.Unheard, ID: 1, Subscriber: steady, Number: numberOf(two, 1)}).wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, having been too slow":           {in(audience().writes(two, 1, ms).gets(steady, two, 1, 200, func(e *history.Event) { e.From -= 3 * time.Second }).wait(time.Second).gets(steady, two, 1, 200), two, 1), ""},
		"twice, having been asked for":          {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).add(history.Event{Kind: history.Again, Subscriber: steady, Number: numberOf(two, 1)}).gets(steady, two, 1, 200).gets(steady, two, 1, 200), two, 1), ""},
		"something else the second time":        {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).gets(steady, two, 1, 200, func(e *history.Event) { e.Digest = "x" }), two, 1), "INV-17 "},
		"another number the second time":        {in(audience().writes(two, 1, ms).gets(steady, two, 1, 500).gets(steady, two, 1, 200, func(e *history.Event) { e.Sequence = 2 }), two, 1), "INV-18 "},
		"another number than in the store":      {in(audience().writes(two, 1, ms).gets(steady, two, 1, 200, func(e *history.Event) { e.Sequence = 2 }), two, 1), "INV-18 "},
		"a gap":                                 {in(taken(audience(), two, 1, 3), two, 1, 3), "INV-18 "},
		"a number used twice":                   {in(taken(audience(), two, 1), two, 1).has(two, 2, func(e *history.Event) { e.Sequence = 1 }).gets(steady, two, 2, 200, func(e *history.Event) { e.Sequence = 1 }), "INV-18 "},
		"overtaken":                             {in(taken(audience(), one).gets(ordered, one, 2, 200).gets(ordered, one, 1, 200).gets(steady, one, 1, 200).gets(steady, one, 2, 200), one, 1, 2), "INV-18 "},
		"overtaken where order does not matter": {in(taken(audience(), two).gets(steady, two, 2, 200).gets(steady, two, 1, 200), two, 1, 2), ""},
		"the next before one was taken":         {in(taken(audience(), one).gets(ordered, one, 1, 500).gets(ordered, one, 2, 200).gets(ordered, one, 1, 200).gets(steady, one, 1, 200).gets(steady, one, 2, 200), one, 1, 2), "INV-18 "},
		"the next after one died":               {in(taken(audience(), one).gets(ordered, one, 1, 500).gets(ordered, one, 2, 200).gets(steady, one, 1, 200).gets(steady, one, 2, 200).listed(ordered, one, 1, "dead"), one, 1, 2), ""},
		"a ticket delivered":                    {in(audience().gets(steady, two, 1, 200, func(e *history.Event) { e.Topic = "component_verify_ticket" }), two).has(two, 1, func(e *history.Event) { e.Topic = "component_verify_ticket" }), "INV-22 "},
		"where nobody may go":                   {audience().add(history.Event{Kind: history.Strayed, Note: "the decoy"}), "INV-26 "},
		"of nobody who has subscribed":          {audience().gets("stranger", one, 1, 200), "history "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := judge(c.story)
			if c.wants == "" && len(r.Violations) > 0 {
				t.Errorf("%v", r.Violations)
			}
			if c.wants != "" && !slices.ContainsFunc(r.Violations, func(v checker.Violation) bool { return strings.HasPrefix(v.String(), c.wants) }) {
				t.Errorf("no %s in %v", c.wants, r.Violations)
			}
		})
	}
}

// TestArrivalsAreCounted looks at the numbers of a history.
func TestArrivalsAreCounted(t *testing.T) {
	t.Parallel()
	s := audience().writes(two, 1, 300*ms)
	s.add(history.Event{Kind: history.Push, From: s.now, Event: "text", Merchant: one, MsgID: "2", Attempt: 1})
	s.add(history.Event{Kind: history.Push, From: s.now, Event: "text", Merchant: one, MsgID: "2", Attempt: 3})
	s.gets(steady, two, 1, 500).gets(steady, two, 1, 200).kill("0.1").gets(steady, two, 1, 200).has(two, 1)
	s.add(history.Event{Kind: history.Fault, Fault: "receiver_down", Process: steady, On: true})
	r := judge(s)
	want := checker.Arrivals{Pushes: 2, GivenUp: 1, Deliveries: 3, Taken: 1, Untaken: 1, Duplicates: 1, Downs: 1, Over250ms: 1}
	got := r.Arrivals
	if got.Slowest < 300*ms {
		t.Errorf("the slowest answer took %v", got.Slowest)
	}
	got.Slowest = 0
	if got != want || len(r.Violations) > 0 {
		t.Errorf("%+v, want %+v; %v", got, want, r.Violations)
	}
	twice := r.Add(r).Arrivals
	if twice.Deliveries != 6 || twice.Slowest != r.Arrivals.Slowest {
		t.Errorf("the sum is %+v", twice)
	}
}
