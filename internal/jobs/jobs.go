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

// Batch is work on many things, of which some may fail while the rest goes on.
type Batch func(ctx context.Context, report Report) error

// Report is how a batch tells what it does. Its functions may be called concurrently.
type Report struct {
	Progress func(done, total int64)
	Failed   func(Failure)
}

// Failure is one account with which a batch did not succeed.
type Failure struct {
	AppID     string `json:"appid"`
	Component string `json:"component_appid"`
	Problem   string `json:"problem" doc:"Why, in English · 原因（英文）"`
	ProblemZh string `json:"problem_zh" doc:"Why, in Chinese · 原因（中文）"`
}

// failuresKept is how many failures of a job are told.
const failuresKept = 100

// State is how far a job has come.
type State string

// The states of a job.
const (
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled" // what is under way still ends in order
)

// Job is one piece of work.
type Job struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	State     State     `json:"state" enum:"running,done,failed,cancelled"`
	Done      int64     `json:"done"`
	Total     int64     `json:"total"` // 0 while it is not known
	Failed    int64     `json:"failed" doc:"How many of those done failed · 其中失败的个数"`
	Failures  []Failure `json:"failures" doc:"The first hundred of them · 前一百个失败"`
	Problem   string    `json:"problem,omitempty"`
	StartedBy string    `json:"started_by,omitempty" doc:"Name of the API key or user · 启动者"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`

	Owner  string `json:"-"` // who started it
	cancel context.CancelFunc
}

// By says who starts a job. The zero value is the process itself.
type By struct {
	Owner string // names whoever may see the job besides those who see all
	Name  string // for people
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
	return r.RunBatch(kind, By{}, func(ctx context.Context, report Report) error { return work(ctx, report.Progress) })
}

// RunBatch is Run for work on many things.
func (r *Runner) RunBatch(kind string, by By, batch Batch) (Job, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Job{}, ErrClosed
	}
	for _, j := range r.jobs {
		if j.Kind == kind && j.EndedAt.IsZero() {
			return j.shown(), ErrRunning
		}
	}
	j := &Job{ID: rand.Text(), Kind: kind, State: Running, StartedAt: r.clock.Now().UTC(), StartedBy: by.Name, Owner: by.Owner}
	ctx, cancel := context.WithCancel(r.ctx)
	j.cancel = cancel
	r.jobs = append(r.jobs, j)
	if len(r.jobs) > kept && !r.jobs[0].EndedAt.IsZero() {
		r.jobs = slices.Delete(r.jobs, 0, 1)
	}
	r.wg.Go(func() { r.run(ctx, j, batch) })
	return j.shown(), nil
}

func (r *Runner) run(ctx context.Context, j *Job, batch Batch) {
	defer j.cancel()
	r.log.Info("job started", "job", j.ID, "kind", j.Kind)
	err := batch(ctx, Report{
		Progress: func(done, total int64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			j.Done, j.Total = done, total
		},
		Failed: func(f Failure) {
			r.mu.Lock()
			defer r.mu.Unlock()
			j.Failed++
			if len(j.Failures) < failuresKept {
				j.Failures = append(j.Failures, f)
			}
		},
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	j.EndedAt = r.clock.Now().UTC()
	switch {
	case j.State == Cancelled:
		r.log.Info("job cancelled", "job", j.ID, "kind", j.Kind, "done", j.Done, "failed", j.Failed)
	case err != nil:
		j.State, j.Problem = Failed, err.Error()
		r.log.Error("job failed", "job", j.ID, "kind", j.Kind, "error", err)
	default:
		j.State = Done
		r.log.Info("job done", "job", j.ID, "kind", j.Kind, "done", j.Done, "failed", j.Failed)
	}
}

// Cancel tells a job to end, and returns it, and whether it is known. What it is in the
// middle of it still brings to an end. One that has ended stays as it is.
func (r *Runner) Cancel(id string) (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.find(id)
	if j == nil {
		return Job{}, false
	}
	if j.State == Running {
		j.State = Cancelled
		j.cancel()
	}
	return j.shown(), true
}

// find returns a job, or nil. It is for callers that hold mu.
func (r *Runner) find(id string) *Job {
	for _, j := range r.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

// shown returns a copy of a job as it is now.
func (j *Job) shown() Job {
	shown := *j
	shown.Failures = append([]Failure{}, j.Failures...)
	return shown
}

// Job returns one job, and whether it is known.
func (r *Runner) Job(id string) (Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.find(id)
	if j == nil {
		return Job{}, false
	}
	return j.shown(), true
}

// Jobs returns the jobs remembered, newest first.
func (r *Runner) Jobs() []Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Job, 0, len(r.jobs))
	for _, j := range slices.Backward(r.jobs) {
		all = append(all, j.shown())
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
