// Package history is what happened in a proof, in one total order: every secret the
// platform made, every request that reached it and what became of the answer, every
// push, every token handed out, every fault. It is written as JSON lines; the
// checker reads nothing else.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"
)

// Kind says what an event is.
type Kind string

// Kinds of events, and the fields that each uses besides Seq, At and Kind.
const (
	// Platform: how the simulator behaves from now on. Rotation, List, Info, Grace.
	Platform Kind = "platform"
	// Issue: the platform made a secret. Secret, Merchant, Number, Grant.
	Issue Kind = "issue"
	// State: a merchant authorized, updated or revoked. Merchant, State, Grant.
	State Kind = "state"
	// Dies: the platform will let the next access token of a merchant die early. Merchant.
	Dies Kind = "dies"
	// Request: a call reached the platform. ID, Op, Process, Merchant, and Number of the
	// secret that it presents (0: none, or one that was never issued; then Note says which).
	Request Kind = "request"
	// Answering: the platform is about to answer a request. ID, Errcode. What the server
	// does next may come before the Reply.
	Answering Kind = "answering"
	// Reply: what the platform answered. ID, Op, Process, Merchant, Errcode; Sent if all
	// of it was written to the connection, between From and At; Refresh and Access are
	// the numbers of the tokens in it. Without an Answering the connection was closed
	// instead.
	Reply Kind = "reply"
	// Push: the platform pushed and judged the answer. Event, Merchant, Number of the
	// ticket or the code inside, Grant, MsgID, Attempt, Accepted, Copy. With a Process it
	// tells what Took does as well; a Status of 0 is no answer within WeChat's five seconds.
	Push Kind = "push"
	// Took: a server answered a push, whatever it was. Process, Status; from From to At.
	Took Kind = "took"
	// Answer: a server answered a caller. Op, Process, Merchant, Status, Result; Access
	// is the number of the token handed out, Errcode what the platform says to it, Left
	// how long it lives, State the state shown. From From to At.
	Answer Kind = "answer"
	// Forged: a server was sent a push that is not genuine. Process, Status, Note: what was
	// wrong with it; Digest of the answer; Accepted if it was answered with success.
	Forged Kind = "forged"

	// Start: a process begins. Process, Left: how far its clock is ahead.
	Start Kind = "start"
	// Kill: a process is about to be killed. Process. It lives no longer than shortly after At.
	Kill Kind = "kill"
	// Gone: a process has ended. Process, Note; From is the earliest it can have been.
	Gone Kind = "gone"
	// Stop and Continue: a process is frozen, and goes on. Process.
	Stop     Kind = "stop"
	Continue Kind = "continue"
	// Fault: something else begins or ends. Fault, On, Process: the replica, or the
	// subscriber, if only that one has it.
	Fault Kind = "fault"

	// Subscribed: somebody subscribes. Subscriber, Topics and Merchants that are wanted
	// (none: all), Ordered, Left: how long an answer may take.
	Subscribed Kind = "subscribed"
	// Delivered: a subscriber got an event, and is about to answer, or has closed the
	// connection (Status 0). ID, Subscriber, Merchant, Topic, Number by which the store knows
	// it, EventID, Sequence, MsgID, Attempt, Digest of the body, Status; from From, when the request was there, to At.
	// Note: what is wrong with it.
	Delivered Kind = "delivered"
	// Unheard: the answer of a Delivered could not be written whole. ID, Subscriber, Number.
	Unheard Kind = "unheard"
	// Again: the driver asks for a delivery to be made anew. Subscriber, Number.
	Again Kind = "again"
	// Listed: a server says at the end that an event was not delivered. Subscriber,
	// Number, State: pending or dead.
	Listed Kind = "listed"
	// Strayed: a connection came where no server may connect to. Note: where.
	Strayed Kind = "strayed"

	// Restored: the store is as it was some time ago, from a backup.
	Restored Kind = "restored"

	// Lost: the driver gives a merchant's refresh token up and lets the merchant
	// authorize again. Merchant, Note.
	Lost Kind = "lost"
	// Settled: how a merchant stands after all faults were off for a while. Merchant,
	// Result, State as the server shows it. Only a merchant of whose last decision a
	// server has heard is looked at.
	Settled Kind = "settled"
	// Stored: a push, or an event of the servers' own, as a fresh process found it in the
	// store at the end. Event, Merchant, MsgID, Note: its key; Number, Topic, EventID,
	// Sequence as subscribers have to see them; From: when it happened, as far as is known.
	Stored Kind = "stored"
	// Found: a secret was found where none may be. Note: where, and how it was written.
	Found Kind = "found"
	// End: nothing follows. A history without it was cut off.
	End Kind = "end"
)

// Secrets that an Issue names.
const (
	RefreshToken   = "refresh_token"
	AccessToken    = "access_token"
	Code           = "code"
	Ticket         = "ticket"
	ComponentToken = "component_token"
)

// Ops of requests and answers.
const (
	OpRefresh = "refresh" // api_authorizer_token; a forced refresh
	OpCode    = "code"    // api_query_auth
	OpMint    = "mint"    // api_component_token
	OpInfo    = "info"    // api_get_authorizer_info
	OpList    = "list"    // api_get_authorizer_list
	OpGet     = "get"     // an access token is asked for
	OpState   = "state"   // the state of an authorizer is asked for
)

// Results of answers.
const (
	OK      = "ok"
	Refused = "refused" // the server says why
	Cut     = "cut"     // no whole answer: it may or may not have happened
)

// Event is one line. Fields that a kind does not use are zero.
type Event struct {
	Seq  uint64        `json:"seq"`            // from 1, without gaps
	At   time.Duration `json:"at"`             // when it was recorded, since the beginning, monotonic
	From time.Duration `json:"from,omitempty"` // when it began, for what takes time
	Kind Kind          `json:"kind"`

	Process  string `json:"process,omitempty"` // replica and incarnation: "0.17"
	Merchant string `json:"merchant,omitempty"`
	ID       uint64 `json:"id,omitempty"` // of a request
	Op       string `json:"op,omitempty"`

	Secret  string `json:"secret,omitempty"`
	Number  uint32 `json:"number,omitempty"` // counts the secrets of one kind and owner, from 1
	Grant   uint32 `json:"grant,omitempty"`  // counts the confirmations of a merchant, from 1
	Refresh uint32 `json:"refresh,omitempty"`
	Access  uint32 `json:"access,omitempty"`

	State    string        `json:"state,omitempty"`
	Event    string        `json:"event,omitempty"`
	MsgID    string        `json:"msg_id,omitempty"`
	Attempt  int           `json:"attempt,omitempty"`
	Accepted bool          `json:"accepted,omitempty"`
	Copy     bool          `json:"copy,omitempty"`
	Sent     bool          `json:"sent,omitempty"`
	Status   int           `json:"status,omitempty"`
	Errcode  int           `json:"errcode,omitempty"`
	Result   string        `json:"result,omitempty"`
	Left     time.Duration `json:"left,omitempty"`
	Digest   string        `json:"digest,omitempty"`

	Subscriber string   `json:"subscriber,omitempty"`
	Topics     []string `json:"topics,omitempty"`
	Merchants  []string `json:"merchants,omitempty"`
	Ordered    bool     `json:"ordered,omitempty"`
	Topic      string   `json:"topic,omitempty"`    // the kind of event, as subscribers know it
	EventID    string   `json:"event_id,omitempty"` // webhook-id
	Sequence   int64    `json:"sequence,omitempty"`

	Fault    string        `json:"fault,omitempty"`
	On       bool          `json:"on,omitempty"`
	Rotation string        `json:"rotation,omitempty"`
	List     string        `json:"list,omitempty"`
	Info     string        `json:"info,omitempty"`
	Grace    time.Duration `json:"grace,omitempty"`
	Note     string        `json:"note,omitempty"`
}

// String is the event as it is written.
func (e Event) String() string {
	line, err := json.Marshal(e)
	if err != nil {
		return string(e.Kind) // no event has a field that does not encode
	}
	return string(line)
}

// Recorder gives events their place in the order. It is safe for concurrent use.
type Recorder struct {
	began time.Time

	mu     sync.Mutex
	seq    uint64
	out    *bufio.Writer
	encode *json.Encoder
	follow func(Event)
	err    error
}

// NewRecorder writes to out. Follow, if not nil, is called with every event, in
// order, under a lock: it must not call the recorder.
func NewRecorder(out io.Writer, follow func(Event)) *Recorder {
	b := bufio.NewWriterSize(out, 1<<18)
	return &Recorder{began: time.Now(), out: b, encode: json.NewEncoder(b), follow: follow}
}

// Now is the time since the beginning.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Since returns the history's time of an instant that this process has read.
func (r *Recorder) Since(t time.Time) time.Duration { return t.Sub(r.began) }

// Add records an event now.
func (r *Recorder) Add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	e.Seq, e.At = r.seq, r.Now()
	if err := r.encode.Encode(e); err != nil && r.err == nil {
		r.err = fmt.Errorf("write the history: %w", err)
	}
	if r.follow != nil {
		r.follow(e)
	}
}

// Do calls f while no event is added.
func (r *Recorder) Do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// Flush writes out what is buffered, and returns the first error of any write.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.out.Flush(); err != nil && r.err == nil {
		r.err = fmt.Errorf("write the history: %w", err)
	}
	return r.err
}

// Read yields the events of a history. It ends with the first error.
func Read(in io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		d := json.NewDecoder(in)
		for seq := uint64(1); ; seq++ {
			var e Event
			err := d.Decode(&e)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err == nil && e.Seq != seq:
				err = fmt.Errorf("event %d follows event %d", e.Seq, seq-1)
			}
			if err != nil {
				yield(Event{}, fmt.Errorf("read the history: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
