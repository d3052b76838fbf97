package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/jobs"
	"github.com/tuoguan/tuoguan/internal/problem"
)

// Jobs is the long work that the API starts and tells of.
type Jobs interface {
	Kinds() []string
	Start(kind string) (jobs.Job, error)
	Run(kind string, work jobs.Work) (jobs.Job, error)
	Job(id string) (jobs.Job, bool)
	Jobs() []jobs.Job
}

var _ Jobs = (*jobs.Runner)(nil)

type jobBody struct {
	Kind string `json:"kind" doc:"What is to be done, such as rekey · 任务类型，如 rekey"`
}

type startJobInput struct{ Input[jobBody] }

func (a *API) startJob(ctx context.Context, in *startJobInput) (*output[jobs.Job], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	if kinds := a.cfg.Jobs.Kinds(); !slices.Contains(kinds, body.Kind) {
		return nil, problem.InvalidField.Field("kind", "must be one of "+strings.Join(kinds, ", "), "取值为 "+strings.Join(kinds, "、"))
	}
	if err := a.record(ctx, tuoguan.Authorization{}, body.Kind, nil); err != nil {
		return nil, err
	}
	job, err := a.cfg.Jobs.Start(body.Kind)
	switch {
	case errors.Is(err, jobs.ErrRunning):
		return nil, problem.JobRunning.With("wait for job "+job.ID, "请等待任务 "+job.ID+" 完成")
	case err != nil:
		return nil, problem.Unavailable
	}
	return &output[jobs.Job]{http.StatusAccepted, job}, nil
}

type getJobInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getJob(_ context.Context, in *getJobInput) (*resource[jobs.Job], error) {
	job, ok := a.cfg.Jobs.Job(in.ID)
	if !ok {
		return nil, problem.UnknownJob
	}
	return show(job, in.Cached)
}

func (a *API) listJobs(context.Context, *struct{}) (*output[list[jobs.Job]], error) {
	return &output[list[jobs.Job]]{http.StatusOK, list[jobs.Job]{Items: a.cfg.Jobs.Jobs()}}, nil
}
