package cli

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress is one line on a terminal that says how far something has come. Where
// there is no terminal it says nothing.
type progress struct {
	out   io.Writer
	shown time.Time
}

func newProgress(p *Process) *progress {
	if !isTerminal(p.Stderr) {
		return &progress{}
	}
	return &progress{out: p.Stderr}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show replaces the line, though not more often than can be read.
func (p *progress) show(format string, args ...any) {
	if p.out == nil || time.Since(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.out, "\r\x1b[K"+format, args...)
}

// records shows a number of records.
func (p *progress) records(doing string) func(int64) {
	return func(n int64) { p.show("%s %d records · 条记录", doing, n) }
}

// clear removes the line.
func (p *progress) clear() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
