package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 2, 3, 4, 5_999_999, time.FixedZone("CST", 8*3600))
	var log []byte
	for i := range 25 {
		log = AppendLog(log, Entry{At: at.Add(time.Duration(i) * time.Second), Status: 500 + i, Latency: 12, Error: "拒绝"})
	}
	got := ParseLog(log)
	if len(got) != 20 || got[0].Status != 505 || got[19].Status != 524 {
		t.Fatalf("a log of 25 attempts is %v", got)
	}
	want := Entry{At: time.Date(2026, 10, 31, 18, 3, 28, 5_000_000, time.UTC), Status: 524, Latency: 12, Error: "拒绝"}
	if diff := cmp.Diff(want, got[19]); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

func TestLogOfTrouble(t *testing.T) {
	t.Parallel()
	if got := ParseLog([]byte("[{")); got != nil {
		t.Errorf("a log that cannot be read has the entries %v", got)
	}
	log := AppendLog([]byte(`{"at":1}`), Entry{Error: strings.Repeat("错", 1000)})
	got := ParseLog(log)
	if len(got) != 1 || len(got[0].Error) > maxEntryText+4 || !strings.HasPrefix(got[0].Error, "错错") {
		t.Errorf("after a log that cannot be read: %v", got)
	}
}
