package admin

import (
	"context"
	"net/http"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/doctor"
)

type doctorInput struct{}

// examine looks for what is wrong with the installation, from inside the server.
func (a *API) examine(ctx context.Context, _ *doctorInput) (*output[doctor.Report], error) {
	if err := a.record(ctx, tuoguan.Authorization{}, "", nil); err != nil {
		return nil, err
	}
	return &output[doctor.Report]{http.StatusOK, a.cfg.Doctor(ctx)}, nil
}
