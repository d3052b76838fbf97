package client

import (
	"context"
	"time"
)

// JobState is how far a job has come.
type JobState string

const (
	JobRunning JobState = "running"
	JobDone    JobState = "done"
	JobFailed  JobState = "failed" // see [Job.Problem]
)

// Job is a long piece of work that a replica of the server does.
type Job struct {
	ID        string     `json:"id"`
	Kind      string     `json:"kind"`
	State     JobState   `json:"state"`
	Done      int64      `json:"done"`
	Total     int64      `json:"total"`   // 0 while it is not known
	Problem   string     `json:"problem"` // why it has failed
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// StartJob starts a job of a kind, such as "rekey". [ErrConflict] if one of the kind runs.
func (c *Client) StartJob(ctx context.Context, kind string) (Job, error) {
	var started Job
	_, err := c.call(ctx, post(map[string]string{"kind": kind}, "v1", "jobs"), &started)
	return started, err
}

// Job returns one job, which only the replica knows that runs it.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var found Job
	_, err := c.call(ctx, get("v1", "jobs", id), &found)
	return found, err
}

// Jobs returns the jobs of the replica that answers, newest first.
func (c *Client) Jobs(ctx context.Context) ([]Job, error) {
	var found page[Job]
	_, err := c.call(ctx, get("v1", "jobs"), &found)
	return found.Items, err
}
