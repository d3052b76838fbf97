package simulator

import (
	"sync"
	"time"
)

// Kinds of journal entries.
const (
	KindRequest = "request" // a call of the API or a visit of a page
	KindPush    = "push"    // one attempt at a push, with its answer
	KindIssue   = "issue"   // a secret was made, or an authorization changed
	KindControl = "control" // a control call
	KindFault   = "fault"   // a fault struck
)

// Entry is one line of the journal, the authoritative history. Secrets appear
// as the SHA-256 of their text, in lower-case hexadecimal.
type Entry struct {
	Seq    uint64    `json:"seq"`  // from 1, without gaps
	Time   time.Time `json:"time"` // virtual, UTC
	Kind   string    `json:"kind"`
	Method string    `json:"method"`
	// Path is the path of a request or of a push's URL, without the query.
	Path   string `json:"path"`
	Status int    `json:"status"` // HTTP; 0 where no reply was sent or received

	ComponentAppID  string `json:"component_appid,omitempty"`
	AuthorizerAppID string `json:"authorizer_appid,omitempty"`
	Errcode         int    `json:"errcode,omitempty"`
	RID             string `json:"rid,omitempty"`
	// Presented are the secrets that a request carried, by parameter name.
	Presented map[string]string `json:"presented,omitempty"`

	// Secret names the kind of secret issued, as on the wire; SHA256 is its hash
	// and Number counts this kind for this owner, from 1.
	Secret string `json:"secret,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Number uint32 `json:"number,omitempty"`
	// Grant counts the times that the account has confirmed an authorization to
	// the component.
	Grant uint32 `json:"grant,omitempty"`
	// State is the new state of an authorization: "authorized", "updated" or "unauthorized".
	State string `json:"state,omitempty"`

	// Event is the InfoType, MsgType or Event of a push.
	Event     string `json:"event,omitempty"`
	MsgID     string `json:"msg_id,omitempty"`
	Attempt   int    `json:"attempt,omitempty"` // 1–3
	LatencyMS int64  `json:"latency_ms,omitempty"`
	Accepted  bool   `json:"accepted,omitempty"`
	// Copy marks a push that is a further copy of an earlier one.
	Copy bool `json:"copy,omitempty"`
	// Problem says why an answer was refused or a push did not happen.
	Problem string `json:"problem,omitempty"`

	Fault string `json:"fault,omitempty"`
}

// journal keeps the newest entries; their numbers go on when old ones fall out.
type journal struct {
	mu      sync.Mutex
	ring    []Entry
	size    int
	last    uint64
	observe func(Entry)
}

func (j *journal) add(e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Seq = j.last
	e.Time = e.Time.UTC().Round(0)
	if len(j.ring) < j.size {
		j.ring = append(j.ring, e)
	} else {
		j.ring[(j.last-1)%uint64(j.size)] = e
	}
	if j.observe != nil {
		j.observe(e)
	}
}

// after returns at most limit entries with a number above seq, oldest first.
func (j *journal) after(seq uint64, limit int) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	if oldest := j.last - uint64(len(j.ring)); seq < oldest {
		seq = oldest
	}
	if seq >= j.last || limit <= 0 {
		return nil
	}
	n := min(int(j.last-seq), limit)
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = j.ring[(seq+uint64(i))%uint64(j.size)]
	}
	return entries
}

// Journal returns at most limit entries whose number is above after, oldest
// first. Only the newest [Config.JournalSize] entries are kept.
func (s *Simulator) Journal(after uint64, limit int) []Entry { return s.journal.after(after, limit) }
