package checker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// What is known of events on their way to subscribers. An event is what the store has
// at the end; a subscriber has it once it was about to answer 2xx.

// ticketTopic is a credential and nothing else: no subscriber may ever see it.
const ticketTopic = "component_verify_ticket"

type arrivals struct {
	subscribers map[string]*subscriber
	events      map[uint32]*event // by the store's number
	ids         map[string]uint32 // the number that an event id was seen with
	messages    map[pushed]string // the event ids under which messages came; without the kind of event
	deaths      []time.Duration
	pauses      []*spell // of all processes
	asleep      map[string]*spell
	twice       *Violation // the first that was made again without a reason
}

func newArrivals() arrivals {
	return arrivals{
		subscribers: make(map[string]*subscriber), events: make(map[uint32]*event), ids: make(map[string]uint32), messages: make(map[pushed]string), asleep: make(map[string]*spell),
	}
}

type subscriber struct {
	name      string
	since     time.Duration
	topics    []string
	merchants []string
	ordered   bool
	patience  time.Duration     // how long an answer may take
	newest    map[string]*event // by merchant: seen last, of an ordered one
}

// wants reports whether an event has to come to the subscriber.
func (s *subscriber) wants(e *event) bool {
	if e.topic == ticketTopic || len(s.merchants) > 0 && !slices.Contains(s.merchants, e.merchant) {
		return false
	}
	return len(s.topics) == 0 || slices.ContainsFunc(s.topics, func(pattern string) bool {
		beginning, any := strings.CutSuffix(pattern, "*")
		return pattern == e.topic || any && strings.HasPrefix(e.topic, beginning)
	})
}

// event is one that a subscriber was sent, or that the store has.
type event struct {
	id, merchant, topic string // "" until a delivery or the store has told
	sequence            int64
	stored              uint64        // the history's number of the entry in the store; 0: there is none
	received            time.Duration // by a server
	to                  []*passage
}

// passage is an event's way to one subscriber.
type passage struct {
	subscriber *subscriber
	digest     string
	seen       uint64 // the first delivery, whatever became of it
	// first is the first delivery that was taken, the rest is about that.
	first    uint64
	request  uint64
	from, at time.Duration
	taken    int  // deliveries that were
	unheard  bool // the answer to the first was not written whole
	again    bool // the driver has asked for it, not having known of the first
	listed   string
	passed   uint64 // the delivery of a later one, though this one was not taken yet
}

func (e *event) passage(s *subscriber) *passage {
	for _, p := range e.to {
		if p.subscriber == s {
			return p
		}
	}
	p := &passage{subscriber: s}
	e.to = append(e.to, p)
	return p
}

func (c *Checker) event(number uint32) *event {
	e := c.arrivals.events[number]
	if e == nil {
		e = new(event)
		c.arrivals.events[number] = e
	}
	return e
}

// named judges whether an event is the same whenever it is seen, and returns it.
func (c *Checker) named(e history.Event) *event {
	this := c.event(e.Number)
	if this.id == "" {
		this.id, this.merchant, this.topic, this.sequence = e.EventID, e.Merchant, e.Topic, e.Sequence
	}
	switch number, known := c.arrivals.ids[e.EventID]; {
	case !known:
		c.arrivals.ids[e.EventID] = e.Number
	case number != e.Number:
		c.violation("INV-15", e.Merchant, e, "the events %d and %d are both %s", number, e.Number, e.EventID)
	}
	switch {
	case this.id != e.EventID:
		c.violation("INV-17", e.Merchant, e, "event %d is %s, and was %s", e.Number, e.EventID, this.id)
	case this.sequence != e.Sequence || this.merchant != e.Merchant:
		c.violation("INV-18", e.Merchant, e, "event %s is number %d of %s, and was number %d of %s", e.EventID, e.Sequence, e.Merchant, this.sequence, this.merchant)
	case this.topic != e.Topic:
		c.violation("INV-17", e.Merchant, e, "event %s is a %s, and was a %s", e.EventID, e.Topic, this.topic)
	}
	return this
}

func (c *Checker) subscribed(e history.Event) {
	c.arrivals.subscribers[e.Subscriber] = &subscriber{
		name: e.Subscriber, since: e.At, topics: e.Topics, merchants: e.Merchants, ordered: e.Ordered, patience: e.Left, newest: make(map[string]*event),
	}
}

// written counts what users write.
func (c *Checker) written(e history.Event) {
	switch {
	case e.Attempt == 1 && !e.Copy:
		c.report.Arrivals.Pushes++
	case e.Attempt == lastAttempt && !e.Copy && !e.Accepted:
		c.report.Arrivals.GivenUp++
	}
	if e.Process != "" {
		c.took(e)
	}
}

// lastAttempt is how often WeChat tries.
const lastAttempt = 3

// answered counts the answer to a push.
func (a *Arrivals) answered(took time.Duration) {
	if took > 250*time.Millisecond {
		a.Over250ms++
	}
	a.Slowest = max(a.Slowest, took)
}

// delivered judges one delivery.
func (c *Checker) delivered(e history.Event) {
	r := &c.report.Arrivals
	r.Deliveries++
	s := c.arrivals.subscribers[e.Subscriber]
	if s == nil {
		c.violation("history", "", e, "a delivery to %s, who has not subscribed", e.Subscriber)
		return
	}
	if e.Note != "" {
		c.violation("INV-16", e.Merchant, e, "%s cannot use what it was sent: %s", s.name, e.Note)
		return
	}
	this := c.named(e)
	switch {
	case e.Topic == ticketTopic:
		c.violation("INV-22", e.Merchant, e, "%s was sent a ticket", s.name)
	case !s.wants(this):
		c.violation("INV-16", e.Merchant, e, "%s was sent %s of %s, which it does not want", s.name, e.Topic, e.Merchant)
	}
	if e.MsgID != "" {
		key := pushed{merchant: e.Merchant, id: e.MsgID}
		if id := c.arrivals.messages[key]; id == "" {
			c.arrivals.messages[key] = e.EventID
		} else if id != e.EventID {
			c.violation("INV-15", e.Merchant, e, "the message %s came as event %s and as event %s", e.MsgID, id, e.EventID)
		}
	}
	p := this.passage(s)
	if p.seen == 0 {
		p.seen, p.digest = e.Seq, e.Digest
		if s.ordered {
			c.inOrder(s, this, e)
		}
	} else if p.digest != e.Digest {
		c.violationOf("INV-17", e.Merchant, e.At, []uint64{p.seen, e.Seq}, "event %s says something else to %s than before", e.EventID, s.name)
	}
	if e.Status/100 != 2 {
		r.Untaken++
		return
	}
	p.taken++
	if p.taken == 1 {
		r.Taken++
		p.first, p.request, p.from, p.at = e.Seq, e.ID, e.From, e.At
		return
	}
	r.Duplicates++
	if !c.explained(p, e) {
		r.Unexplained++
		if c.arrivals.twice == nil {
			c.arrivals.twice = &Violation{Merchant: e.Merchant, Events: []uint64{p.first, e.Seq}, At: e.At}
		}
	}
}

// explained reports whether a fault is the reason why an event came once more after it
// was taken.
func (c *Checker) explained(p *passage, e history.Event) bool {
	mark := c.config.Mark
	if c.touched(p.from-mark, p.at+mark, func(f fault) bool { return f.name == slowMachine }) {
		mark = c.config.FaultWindow // all takes longer, but nothing comes twice for that
	}
	from, until := p.from-mark, min(e.From, p.at+mark)
	if p.unheard || p.again || p.subscriber.patience > 0 && p.at-p.from > p.subscriber.patience-c.config.Mark {
		return true
	}
	for _, at := range slices.Backward(c.arrivals.deaths) {
		if at < from {
			break
		}
		if at <= until {
			return true
		}
	}
	for _, s := range c.arrivals.pauses {
		if s.touches(from, until) {
			return true
		}
	}
	return c.touched(from, until, func(f fault) bool {
		return f.ofStore() && f.name != slowMachine || f == fault{receiverDown, p.subscriber.name}
	})
}

// touched reports whether anybody had a fault of the kind in that time.
func (c *Checker) touched(from, to time.Duration, kind func(fault) bool) bool {
	for f, spells := range c.faults {
		if !kind(f) {
			continue
		}
		for _, s := range slices.Backward(spells) {
			if s.touches(from, to) {
				return true
			}
			if s.end != 0 && s.end < from {
				break // those before it ended even earlier
			}
		}
	}
	return false
}

// slowMachine is the fault of a machine that does not keep up.
const slowMachine = "slow_machine"

// receiverDown is the fault of a subscriber whose listener is closed and whose
// connections are reset.
const receiverDown = "receiver_down"

// inOrder judges the first delivery of an event to a subscriber with order.
func (c *Checker) inOrder(s *subscriber, this *event, e history.Event) {
	before := s.newest[this.merchant]
	s.newest[this.merchant] = this
	if before == nil {
		return
	}
	p := before.passage(s)
	switch {
	case before.sequence >= this.sequence:
		c.violationOf("INV-18", this.merchant, e.At, []uint64{p.seen, e.Seq}, "%s is ordered and got number %d after %d", s.name, this.sequence, before.sequence)
	case p.taken == 0 || p.at > e.From:
		p.passed = e.Seq // it may be dead
	}
}

func (c *Checker) unheard(e history.Event) {
	c.report.Arrivals.Unheard++
	known, s := c.arrivals.events[e.Number], c.arrivals.subscribers[e.Subscriber]
	if known == nil || s == nil {
		return
	}
	if p := known.passage(s); p.request == e.ID {
		p.unheard = true
	}
}

// again takes note that the driver had a delivery made anew that was not known to have
// been made.
func (c *Checker) again(e history.Event) {
	c.report.Arrivals.Again++
	s := c.arrivals.subscribers[e.Subscriber]
	if s == nil {
		return
	}
	if p := c.event(e.Number).passage(s); p.taken == 0 || e.At < p.at+c.config.Mark {
		p.again = true
	}
}

func (c *Checker) listed(e history.Event) {
	s := c.arrivals.subscribers[e.Subscriber]
	if s == nil {
		c.violation("history", "", e, "a delivery to %s, who has not subscribed", e.Subscriber)
		return
	}
	switch e.State {
	case "dead":
		c.report.Arrivals.Dead++
	case "pending":
		c.report.Arrivals.Pending++
	}
	c.event(e.Number).passage(s).listed = e.State
}

// inStore takes in what the store has.
func (c *Checker) inStore(e history.Event) {
	if e.EventID == "" {
		return
	}
	this := c.named(e)
	this.merchant, this.sequence, this.stored, this.received = e.Merchant, e.Sequence, e.Seq, e.From
}

// finishArrivals judges what shows at the end alone.
func (c *Checker) finishArrivals() {
	if !c.inventory {
		return
	}
	numbers := make(map[string][]*event)
	for _, number := range slices.Sorted(maps.Keys(c.arrivals.events)) {
		e := c.arrivals.events[number]
		if e.stored == 0 {
			c.violation("INV-13", e.merchant, history.Event{At: c.now}, "event %d %s reached a subscriber, or is listed, and is not in the store", number, e.id)
			continue
		}
		numbers[e.merchant] = append(numbers[e.merchant], e)
		for _, name := range slices.Sorted(maps.Keys(c.arrivals.subscribers)) {
			c.reached(e, c.arrivals.subscribers[name])
		}
	}
	for _, merchant := range slices.Sorted(maps.Keys(numbers)) {
		all := numbers[merchant]
		slices.SortFunc(all, func(a, b *event) int { return cmp.Compare(a.sequence, b.sequence) })
		for i, e := range all {
			if e.sequence != int64(i+1) {
				c.violation("INV-18", merchant, history.Event{At: c.now, Seq: e.stored}, "of %d events in the store, the one in place %d has the number %d", len(all), i+1, e.sequence)
				break
			}
		}
	}
	if r := c.report.Arrivals; r.Unexplained*10_000 > r.Deliveries {
		v := c.arrivals.twice
		c.violationOf("INV-17", v.Merchant, v.At, v.Events, "%d of %d deliveries were made again without a reason", r.Unexplained, r.Deliveries)
	}
}

// reached judges whether one event has come to one subscriber.
func (c *Checker) reached(e *event, s *subscriber) {
	p := e.passage(s)
	at := history.Event{At: c.now, Seq: e.stored}
	if p.passed != 0 && p.listed != "dead" {
		c.violationOf("INV-18", e.merchant, c.now, []uint64{p.seen, p.passed, p.first}, "%s is ordered and got a later event before it had taken number %d", s.name, e.sequence)
	}
	switch {
	case p.taken > 0 || !s.wants(e) || e.received < s.since+c.config.Notice:
	case p.listed == "pending":
		c.violation("INV-16", e.merchant, at, "number %d, %s %s, still waits for %s", e.sequence, e.topic, e.id, s.name)
	case p.listed == "":
		c.violation("INV-16", e.merchant, at, "number %d, %s %s, has neither come to %s nor is it listed as undelivered", e.sequence, e.topic, e.id, s.name)
	}
}

// Arrivals is what a history shows of events and subscribers.
type Arrivals struct {
	Pushes      int           `json:"pushes"` // messages that users wrote
	GivenUp     int           `json:"given_up"`
	Deliveries  int           `json:"deliveries"`  // requests to subscribers
	Taken       int           `json:"taken"`       // events that a subscriber has answered with 2xx, each once
	Untaken     int           `json:"untaken"`     // requests that it has answered otherwise or not at all
	Unheard     int           `json:"unheard"`     // answers that could not be written
	Duplicates  int           `json:"duplicates"`  // requests taken once more
	Unexplained int           `json:"unexplained"` // of these, without a fault to explain them
	Again       int           `json:"again"`       // deliveries that the driver had made anew
	Dead        int           `json:"dead"`        // at the end
	Pending     int           `json:"pending"`
	Downs       int           `json:"downs"`      // deaths of subscribers
	Over250ms   int           `json:"over_250ms"` // answers to pushes that took longer
	Slowest     time.Duration `json:"slowest"`    // of the answers of processes that lived
}

func (a Arrivals) add(o Arrivals) Arrivals {
	for _, pair := range [][2]*int{
		{&a.Pushes, &o.Pushes}, {&a.GivenUp, &o.GivenUp}, {&a.Deliveries, &o.Deliveries}, {&a.Taken, &o.Taken}, {&a.Untaken, &o.Untaken},
		{&a.Unheard, &o.Unheard}, {&a.Duplicates, &o.Duplicates}, {&a.Unexplained, &o.Unexplained}, {&a.Again, &o.Again},
		{&a.Dead, &o.Dead}, {&a.Pending, &o.Pending}, {&a.Downs, &o.Downs}, {&a.Over250ms, &o.Over250ms},
	} {
		*pair[0] += *pair[1]
	}
	a.Slowest = max(a.Slowest, o.Slowest)
	return a
}

func (a Arrivals) summary() string {
	return fmt.Sprintf("%d messages (%d given up, slowest answer %v), %d events taken in %d deliveries, %d twice (%d without a reason), %d dead, %d subscribers killed",
		a.Pushes, a.GivenUp, a.Slowest.Round(time.Millisecond), a.Taken, a.Deliveries, a.Duplicates, a.Unexplained, a.Dead, a.Downs)
}
