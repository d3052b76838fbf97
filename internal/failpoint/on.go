//go:build failpoint && unix

package failpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled reports whether marks do anything in this build.
const Enabled = true

// ErrInjected is what a mark returns where the environment asks for an error.
var ErrInjected = errors.New("failpoint: injected")

// point is what happens at one mark.
type point struct {
	action      string
	delay       time.Duration
	probability float64
	count       int64 // 0: every time
	passed      atomic.Int64
}

var points = sync.OnceValue(func() map[Name]*point {
	found, err := parse(os.Getenv(Variable))
	if err != nil {
		panic(err) // a proof with a misspelt mark proves nothing
	}
	return found
})

// Hit passes a mark. The error is the one that the environment asks for there.
func Hit(name Name) error {
	p := points()[name]
	if p == nil {
		return nil
	}
	passed := p.passed.Add(1)
	if p.count > 0 && passed != p.count || p.probability < 1 && rand.Float64() >= p.probability {
		return nil
	}
	report(name, p.action)
	switch p.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing happens after it
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "panic":
		panic("failpoint: " + string(name))
	case "delay":
		time.Sleep(p.delay)
	case "error":
		return fmt.Errorf("%w at %s", ErrInjected, name)
	}
	return nil
}

// ClockOffset is how far this process's clock is to be ahead.
func ClockOffset() time.Duration {
	text := os.Getenv(ClockVariable)
	if text == "" {
		return 0
	}
	offset, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return offset
}

// report appends what is about to happen, for whoever cannot ask us any more.
func report(name Name, action string) {
	path := os.Getenv(ReportVariable)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = fmt.Fprintf(f, "%s %s %d\n", name, action, time.Now().UnixNano())
}

func parse(text string) (map[Name]*point, error) {
	found := make(map[Name]*point)
	for each := range strings.SplitSeq(text, ";") {
		each = strings.TrimSpace(each)
		if each == "" {
			continue
		}
		name, action, ok := strings.Cut(each, "=")
		if !ok || !slices.Contains(Names(), Name(name)) {
			return nil, fmt.Errorf("%s: %q names no mark", Variable, each)
		}
		p := &point{probability: 1}
		var err error
		if before, count, ok := strings.Cut(action, "#"); ok {
			action = before
			if p.count, err = strconv.ParseInt(count, 10, 64); err != nil || p.count < 1 {
				return nil, fmt.Errorf("%s: %q has no count of 1 or more", Variable, each)
			}
		}
		if before, share, ok := strings.Cut(action, "@"); ok {
			action = before
			if p.probability, err = strconv.ParseFloat(share, 64); err != nil || p.probability < 0 || p.probability > 1 {
				return nil, fmt.Errorf("%s: %q has no probability from 0 to 1", Variable, each)
			}
		}
		if argument, ok := strings.CutPrefix(action, "delay("); ok {
			action = "delay"
			if p.delay, err = time.ParseDuration(strings.TrimSuffix(argument, ")")); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", Variable, each, err)
			}
		}
		if !slices.Contains([]string{"kill", "stop", "panic", "error", "delay"}, action) {
			return nil, fmt.Errorf("%s: %q asks for what cannot be done", Variable, each)
		}
		p.action = action
		found[Name(name)] = p
	}
	return found, nil
}
