package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tuoguan/tuoguan/internal/jobs"
)

// Jobs is the long work that the API starts and tells of.
type Jobs interface {
	Kinds() []string
	Start(kind string) (jobs.Job, error)
	Job(id string) (jobs.Job, bool)
	Jobs() []jobs.Job
}

var _ Jobs = (*jobs.Runner)(nil)

func (a *API) startJob(r *http.Request) (reply, error) {
	var body struct {
		Kind string `json:"kind"`
	}
	if err := decode(r, &body); err != nil {
		return reply{}, err
	}
	job, err := a.cfg.Jobs.Start(body.Kind)
	switch {
	case errors.Is(err, jobs.ErrUnknownKind):
		kinds := strings.Join(a.cfg.Jobs.Kinds(), ", ")
		return reply{}, invalidField.field("kind", "must be one of "+kinds, "取值为 "+kinds)
	case errors.Is(err, jobs.ErrRunning):
		return reply{}, jobRunning.with("wait for job "+job.ID, "请等待任务 "+job.ID+" 完成")
	case err != nil:
		return reply{}, serverUnavailable
	}
	return reply{status: http.StatusAccepted, body: job}, nil
}

func (a *API) getJob(r *http.Request) (reply, error) {
	job, ok := a.cfg.Jobs.Job(r.PathValue("id"))
	if !ok {
		return reply{}, unknownJob
	}
	return reply{body: job}, nil
}

func (a *API) listJobs(r *http.Request) (reply, error) {
	if q := parseQuery(r); q.err != nil {
		return reply{}, q.err
	}
	return reply{body: list[jobs.Job]{Items: a.cfg.Jobs.Jobs()}}, nil
}
