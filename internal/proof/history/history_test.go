package history_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	var followed []history.Event
	r := history.NewRecorder(&file, func(e history.Event) { followed = append(followed, e) })
	r.Add(history.Event{Kind: history.Issue, Secret: history.RefreshToken, Merchant: "wxa", Number: 1, Grant: 1})
	r.Add(history.Event{Kind: history.Answer, Op: history.OpGet, From: 3 * time.Millisecond, Result: history.Cut})
	r.Add(history.Event{Kind: history.End})
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	var read []history.Event
	for e, err := range history.Read(&file) {
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, e)
	}
	if diff := cmp.Diff(followed, read); diff != "" {
		t.Error(diff)
	}
	for i, e := range read {
		if e.Seq != uint64(i+1) || e.At <= 0 {
			t.Errorf("event %d has number %d and time %v", i, e.Seq, e.At)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a gap":             `{"seq":1,"at":1,"kind":"end"}` + "\n" + `{"seq":3,"at":2,"kind":"end"}`,
		"half a line":       `{"seq":1,"at":1,"ki`,
		"something else":    "power\n",
		"a wrong beginning": `{"seq":2,"at":1,"kind":"end"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last error
			for _, err := range history.Read(strings.NewReader(text)) {
				last = err
			}
			if last == nil {
				t.Error("it was read without an error")
			}
		})
	}
}
