package admin

import (
	"context"
	"errors"
	"maps"
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
	RunBatch(kind string, by jobs.By, batch jobs.Batch) (jobs.Job, error)
	Cancel(id string) (jobs.Job, bool)
	Job(id string) (jobs.Job, bool)
	Jobs() []jobs.Job
}

var _ Jobs = (*jobs.Runner)(nil)

type jobBody struct {
	Kind        string     `json:"kind" doc:"What is to be done: rekey, refresh-authorizers, verify-authorizers, tag-authorizers · 任务类型"`
	Authorizers *selection `json:"authorizers,omitempty" doc:"Which authorizers; required where the kind ends in -authorizers, {} for all that the caller has to do with. Revoked ones are only refreshed and verified if they are named or asked for by state · 选定账号，空对象表示全部"`
	AddTags     []string   `json:"add_tags,omitempty" maxItems:"50" doc:"For tag-authorizers · 增加的标签"`
	RemoveTags  []string   `json:"remove_tags,omitempty" maxItems:"50" doc:"For tag-authorizers · 去掉的标签"`
}

type startJobInput struct{ Input[jobBody] }

func (a *API) startJob(ctx context.Context, in *startJobInput) (*output[jobs.Job], error) {
	body, err := in.decode()
	if err != nil {
		return nil, err
	}
	if _, ok := bulkKinds[body.Kind]; ok {
		return a.startBulk(ctx, body)
	}
	if kinds := a.cfg.Jobs.Kinds(); !slices.Contains(kinds, body.Kind) {
		kinds = slices.Sorted(maps.Keys(bulkKinds))
		kinds = append(kinds, a.cfg.Jobs.Kinds()...)
		return nil, problem.InvalidField.Field("kind", "must be one of "+strings.Join(kinds, ", "), "取值为 "+strings.Join(kinds, "、"))
	}
	if callOf(ctx).bound() {
		return nil, tooNarrow
	}
	if body.Authorizers != nil || body.AddTags != nil || body.RemoveTags != nil {
		return nil, problem.InvalidField.Field("authorizers", "is not for this kind of job", "不适用于该任务类型")
	}
	if err := a.record(ctx, tuoguan.Authorization{}, body.Kind, nil); err != nil {
		return nil, err
	}
	return startedJob(a.cfg.Jobs.Start(body.Kind))
}

func startedJob(job jobs.Job, err error) (*output[jobs.Job], error) {
	switch {
	case errors.Is(err, jobs.ErrRunning):
		return nil, problem.JobRunning.With("wait for job "+job.ID, "请等待任务 "+job.ID+" 完成")
	case err != nil:
		return nil, problem.Unavailable
	}
	return &output[jobs.Job]{http.StatusAccepted, job}, nil
}

// mayFollow reports whether the caller may see a job: one that is bound to a part of
// everything sees its own.
func (c *call) mayFollow(job jobs.Job) bool { return !c.bound() || job.Owner == c.KeyID }

type getJobInput struct {
	ID string `path:"id"`
	Cached
}

func (a *API) getJob(ctx context.Context, in *getJobInput) (*resource[jobs.Job], error) {
	job, ok := a.cfg.Jobs.Job(in.ID)
	if !ok || !callOf(ctx).mayFollow(job) {
		return nil, problem.UnknownJob
	}
	return show(job, in.Cached)
}

type cancelJobInput struct {
	ID string `path:"id"`
}

// cancelJob ends a job before it is done. What it has done stays done.
func (a *API) cancelJob(ctx context.Context, in *cancelJobInput) (*output[jobs.Job], error) {
	job, ok := a.cfg.Jobs.Job(in.ID)
	if !ok || !callOf(ctx).mayFollow(job) {
		return nil, problem.UnknownJob
	}
	if err := a.record(ctx, tuoguan.Authorization{}, job.Kind+" "+job.ID, nil); err != nil {
		return nil, err
	}
	if job, ok = a.cfg.Jobs.Cancel(in.ID); !ok {
		return nil, problem.UnknownJob
	}
	return &output[jobs.Job]{http.StatusOK, job}, nil
}

func (a *API) listJobs(ctx context.Context, _ *struct{}) (*output[list[jobs.Job]], error) {
	all := slices.DeleteFunc(a.cfg.Jobs.Jobs(), func(job jobs.Job) bool { return !callOf(ctx).mayFollow(job) })
	return &output[list[jobs.Job]]{http.StatusOK, list[jobs.Job]{Items: all}}, nil
}
