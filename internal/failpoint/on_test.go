//go:build failpoint && unix

package failpoint

import (
	"errors"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want point
		bad  bool
	}{
		"kill":            {text: "inbox.beforeCommit=kill", want: point{action: "kill", probability: 1}},
		"probability":     {text: "inbox.beforeCommit=stop@0.25", want: point{action: "stop", probability: 0.25}},
		"count":           {text: "inbox.beforeCommit=error#3", want: point{action: "error", probability: 1, count: 3}},
		"delay":           {text: " inbox.beforeCommit=delay(20ms)@0.5#2 ;", want: point{action: "delay", delay: 20 * time.Millisecond, probability: 0.5, count: 2}},
		"unknown mark":    {text: "inbox=kill", bad: true},
		"unknown action":  {text: "inbox.beforeCommit=sing", bad: true},
		"no action":       {text: "inbox.beforeCommit", bad: true},
		"bad probability": {text: "inbox.beforeCommit=kill@2", bad: true},
		"bad count":       {text: "inbox.beforeCommit=kill#0", bad: true},
		"bad delay":       {text: "inbox.beforeCommit=delay(soon)", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(c.text)
			if (err != nil) != c.bad {
				t.Fatalf("error %v, want one: %v", err, c.bad)
			}
			if c.bad {
				return
			}
			p := got[InboxBeforeCommit]
			if p == nil || p.action != c.want.action || p.delay != c.want.delay || p.probability != c.want.probability || p.count != c.want.count {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestHitCounts(t *testing.T) {
	t.Setenv(Variable, "claim.beforeCommit=error#2")
	for n := 1; n <= 3; n++ {
		if err := Hit(ClaimBeforeCommit); errors.Is(err, ErrInjected) != (n == 2) {
			t.Errorf("pass %d: %v", n, err)
		}
	}
}
