//go:build unix

package proof

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tuoguan/tuoguan/internal/proof/history"
)

// slow is by how much something may be late before the machine counts as too slow to
// hold a server to a time.
const slow = 10 * time.Millisecond

// vigil watches how the machine itself does: where a small write to the disk takes much
// longer than it should, so may a server's; and a server that is not let onto a
// processor does nothing at all.
func (s *site) vigil(ctx context.Context) error {
	const every = 15 * time.Millisecond
	dir := s.dir
	if s.store.disk != nil {
		dir = s.store.disk.Path
	}
	for ctx.Err() == nil {
		from := s.record.Now()
		pause(ctx, every)
		s.disk.Lock()
		err := touch(filepath.Join(dir, "vigil"))
		s.disk.Unlock()
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		if s.record.Now()-from > every+slow && ctx.Err() == nil {
			s.slowed(from, "")
		}
		for _, r := range s.replicas {
			r.lookForStarvation()
		}
	}
	return nil
}

// slowed records that the machine was slow from then until now, for one replica or all.
func (s *site) slowed(from time.Duration, replica string) {
	e := history.Event{Kind: history.Fault, Fault: "slow_machine", From: from, Process: replica, On: true}
	s.record.Add(e)
	e.On = false
	s.record.Add(e)
}

// touch writes a byte that is on the disk when it returns.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{1}, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

// waits is how long the threads of a process have waited for a processor so far.
type waits struct {
	mu      sync.Mutex
	pid     int
	at      time.Duration // when that was looked up
	threads map[string]time.Duration
}

// lookForStarvation looks how long the threads of the process in place have waited for a
// processor since the last time, and records if that was too long. Where the kernel does
// not tell, nobody starves.
func (r *replica) lookForStarvation() {
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd == nil {
		return
	}
	w := &r.waits
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pid != cmd.Process.Pid {
		w.pid, w.threads = cmd.Process.Pid, make(map[string]time.Duration)
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", w.pid))
	now, starved := r.site.record.Now(), false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		var ran, waited int64
		if _, err := fmt.Sscan(string(text), &ran, &waited); err != nil {
			continue
		}
		if time.Duration(waited)-w.threads[file] > slow {
			starved = true
		}
		w.threads[file] = time.Duration(waited)
	}
	if starved {
		r.site.slowed(w.at, strconv.Itoa(r.index))
	}
	w.at = now
}
