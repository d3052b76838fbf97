package sink

import (
	"encoding/json"
	"time"
)

// Entry is what became of one attempt at a delivery.
type Entry struct {
	At      time.Time `json:"at"`                   // when it began
	Status  int       `json:"status,omitempty"`     // HTTP status; 0 for a broker, or if nothing was answered
	Latency int64     `json:"latency_ms,omitempty"` // milliseconds
	Error   string    `json:"error,omitempty"`      // why it did not succeed, for people; "" if it did
}

const (
	maxEntries   = 20  // of a log
	maxEntryText = 500 // bytes
)

// AppendLog returns the log of a delivery with an entry more, and without the oldest
// where there would be more than 20. It does not change what it is given.
func AppendLog(log []byte, e Entry) []byte {
	e.At = e.At.UTC().Truncate(time.Millisecond)
	if len(e.Error) > maxEntryText {
		e.Error = e.Error[:maxEntryText] // a character cut in two is replaced by the encoder
	}
	entries := append(ParseLog(log), e)
	if len(entries) > maxEntries {
		entries = entries[len(entries)-maxEntries:]
	}
	raw, err := json.Marshal(entries)
	if err != nil {
		return log // an instant in the year 10000
	}
	return raw
}

// ParseLog returns the entries of a log, the oldest first. One that cannot be read has
// none: a log must never be in the way of a delivery.
func ParseLog(log []byte) []Entry {
	var entries []Entry
	if len(log) == 0 || json.Unmarshal(log, &entries) != nil {
		return nil
	}
	return entries
}
