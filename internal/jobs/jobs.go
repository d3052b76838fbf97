// Package jobs runs long work on behalf of whoever asks for it over the API, one of
// a kind at a time, and tells how far it has come. What a job has done so far is the
// work's own to keep: a job that died with its process is started again and goes on.
package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
)

var (
	// ErrUnknownKind: there is no such work.
	ErrUnknownKind = errors.New("jobs: unknown kind of work")
	// ErrRunning: work of the kind is under way.
	ErrRunning = errors.New("jobs: work of this kind is under way already")
	// ErrClosed: no work is taken any more.
	ErrClosed = errors.New("jobs: closed")
)

// kept is how many jobs are remembered.
const kept = 100

// Work does one kind of work until ctx ends, telling how much of it is done; total is
// 0 while it is not known.
type Work func(ctx context.Context, progress func(done, total int64)) error

// State is how far a job has come.
type State string

// The states of a job.
const (
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Job is one piece of work.
type Job struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	State     State     `json:"state"`
	Done      int64     `json:"done"`
	Total     int64     `json:"total"` // 0 while it is not known
	Problem   string    `json:"problem,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// Runner runs jobs. Make it with [New], end it with [Runner.Close].
type Runner struct {
	work   map[string]Work
	clock  *tuoguan.Clock
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	jobs   []*Job // oldest first
}

// New returns a runner of the kinds of work given.
func New(work map[string]Work, clock *tuoguan.Clock, log *slog.Logger) *Runner {
	r := &Runner{work: work, clock: clock, log: log}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Kinds returns the kinds of work there are.
func (r *Runner) Kinds() []string { return slices.Sorted(maps.Keys(r.work)) }

// Start starts work of a kind.
func (r *Runner) Start(kind string) (Job, error) {
	work, ok := r.work[kind]
	if !ok {
		return Job{}, ErrUnknownKind
	}
	return r.Run(kind, work)
}

// Run starts work that is not one of the runner's own kinds. The kind is what there is
// one of at a time.
func (r *Runner) Run(kind string, work Work) (Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Job{}, ErrClosed
	}
	for _, j := range r.jobs {
		if j.Kind == kind && j.State == Running {
			return *j, ErrRunning
		}
	}
	j := &Job{ID: rand.Text(), Kind: kind, State: Running, StartedAt: r.clock.Now().UTC()}
	r.jobs = append(r.jobs, j)
	if len(r.jobs) > kept && r.jobs[0].State != Running {
		r.jobs = slices.Delete(r.jobs, 0, 1)
	}
	r.wg.Go(func() { r.run(j, work) })
	return *j, nil
}

func (r *Runner) run(j *Job, work Work) {
	r.log.Info("job started", "job", j.ID, "kind", j.Kind)
	err := work(r.ctx, func(done, total int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		j.Done, j.Total = done, total
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	j.State, j.EndedAt = Done, r.clock.Now().UTC()
	if err != nil {
		j.State, j.Problem = Failed, err.Error()
		r.log.Error("job failed", "job", j.ID, "kind", j.Kind, "error", err)
		return
	}
	r.log.Info("job done", "job", j.ID, "kind", j.Kind, "done", j.Done)
}

// Job returns one job, and whether it is known.
func (r *Runner) Job(id string) (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.jobs {
		if j.ID == id {
			return *j, true
		}
	}
	return Job{}, false
}

// Jobs returns the jobs remembered, newest first.
func (r *Runner) Jobs() []Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Job, 0, len(r.jobs))
	for _, j := range slices.Backward(r.jobs) {
		all = append(all, *j)
	}
	return all
}

// Close ends the work under way and waits for it.
func (r *Runner) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}
