package admin

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/insight"
	"github.com/tuoguan/tuoguan/internal/problem"
	"github.com/tuoguan/tuoguan/keeper"
)

// Insight is what this replica remembers of what it did: [insight.Recorder].
type Insight interface {
	Since() time.Time
	LastFiveMinutes() insight.Totals
	Series(minutes int) insight.Series
	Backlogs(ctx context.Context) ([]insight.Backlog, error)
	Shortages() []insight.Shortage
}

var _ Insight = (*insight.Recorder)(nil)

// overview is how everything is at a glance.
type overview struct {
	Now             time.Time           `json:"now"`
	Replica         string              `json:"replica" doc:"Name of the replica that answers · 应答的实例名"`
	Since           time.Time           `json:"since" doc:"Since when it counts · 该实例开始计数的时间"`
	Replicas        int                 `json:"replicas" doc:"How many replicas work on the same store · 共用同一存储的实例数"`
	Components      []componentOverview `json:"components"`
	Authorizers     stateCounts         `json:"authorizers"`
	LastFiveMinutes insight.Totals      `json:"last_five_minutes" doc:"Of this replica · 仅本实例"`
	Deliveries      backlogOverview     `json:"deliveries"`
	Quota           []quotaOverview     `json:"quota" doc:"Daily quotas that are nearly used up, as this replica has learnt · 即将用尽的每日额度"`
	Alerts          []alert             `json:"alerts" doc:"What needs somebody, the most urgent first · 待处理事项，按紧急程度排列"`
}

type componentOverview struct {
	AppID            string      `json:"appid"`
	TicketReceivedAt *time.Time  `json:"ticket_received_at"`
	TokenExpiresAt   *time.Time  `json:"token_expires_at"`
	Authorizers      stateCounts `json:"authorizers"`
}

type stateCounts struct {
	Active               int64 `json:"active"`
	NeedsReauthorization int64 `json:"needs_reauthorization"`
	Revoked              int64 `json:"revoked"`
}

type backlogOverview struct {
	Pending       int   `json:"pending" doc:"Of each subscription up to 10,000 are counted · 每个订阅最多计一万"`
	Dead          int   `json:"dead"`
	OldestSeconds int64 `json:"oldest_pending_seconds" doc:"For how long the longest overdue one has been due; 0 if none is · 最久未投递的逾期秒数"`
}

type quotaOverview struct {
	AppID          string    `json:"appid" doc:"Empty where it is the component's own quota · 平台自身额度时为空"`
	ComponentAppID string    `json:"component_appid"`
	Endpoint       string    `json:"endpoint"`
	Remaining      int       `json:"remaining"`
	At             time.Time `json:"at" doc:"When WeChat said so · 微信告知的时间"`
	Until          time.Time `json:"until" doc:"When it is renewed · 恢复时间"`
}

// overviewLife is how long an overview is shown to others too: what is read for one is
// read once, however many look.
const overviewLife = 2 * time.Second

// overviews keeps the last overview.
type overviews struct {
	flights singleflight.Group
	last    atomic.Pointer[madeOverview]
}

type madeOverview struct {
	overview
	at time.Time
}

func (a *API) getOverview(ctx context.Context, _ *struct{}) (*output[overview], error) {
	made := a.overviews.last.Load()
	if made == nil || time.Since(made.at) >= overviewLife {
		result := a.overviews.flights.DoChan("", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout/4)
			defer cancel()
			at := time.Now()
			o, err := a.makeOverview(ctx)
			if err != nil {
				return nil, err
			}
			made := &madeOverview{o, at}
			a.overviews.last.Store(made)
			return made, nil
		})
		select {
		case r := <-result:
			if r.Err != nil {
				return nil, problem.Storage(r.Err)
			}
			made = r.Val.(*madeOverview)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	shown := made.overview
	shown.Alerts = callOf(ctx).alertsFor(made.Alerts)
	return &output[overview]{http.StatusOK, shown}, nil
}

func (a *API) makeOverview(ctx context.Context) (overview, error) {
	now := a.cfg.Clock.Now()
	status, err := a.cfg.Keeper.Status(ctx)
	if err != nil {
		return overview{}, err
	}
	backlogs, err := a.cfg.Insight.Backlogs(ctx)
	if err != nil {
		return overview{}, err
	}
	o := overview{
		Now: now.UTC(), Replica: a.cfg.Replica, Since: a.cfg.Insight.Since().UTC(), Replicas: a.cfg.Keeper.Replicas(),
		Components: []componentOverview{}, LastFiveMinutes: a.cfg.Insight.LastFiveMinutes(), Quota: []quotaOverview{},
	}
	for _, c := range status.Components {
		shown := showComponentOverview(c)
		o.Components = append(o.Components, shown)
		o.Authorizers.Active += shown.Authorizers.Active
		o.Authorizers.NeedsReauthorization += shown.Authorizers.NeedsReauthorization
		o.Authorizers.Revoked += shown.Authorizers.Revoked
	}
	for _, b := range backlogs {
		o.Deliveries.Pending += b.Pending
		o.Deliveries.Dead += b.Dead
		if !b.Since.IsZero() {
			o.Deliveries.OldestSeconds = max(o.Deliveries.OldestSeconds, int64(now.Sub(b.Since)/time.Second))
		}
	}
	for _, q := range a.cfg.Insight.Shortages() {
		o.Quota = append(o.Quota, quotaOverview{
			AppID: string(q.Authorizer), ComponentAppID: string(q.Component), Endpoint: q.Path, Remaining: q.Remaining, At: q.At.UTC(), Until: q.Until.UTC(),
		})
	}
	o.Alerts, err = a.alerts(ctx, o, backlogs)
	return o, err
}

func showComponentOverview(c keeper.ComponentStatus) componentOverview {
	return componentOverview{
		AppID: string(c.AppID), TicketReceivedAt: instant(c.TicketReceivedAt), TokenExpiresAt: instant(c.TokenExpiresAt),
		Authorizers: stateCounts{
			Active: c.Authorizers[tuoguan.StateActive], NeedsReauthorization: c.Authorizers[tuoguan.StateNeedsReauthorization], Revoked: c.Authorizers[tuoguan.StateRevoked],
		},
	}
}

type getSeriesInput struct {
	Minutes int `query:"minutes" minimum:"1" maximum:"1440" default:"60" doc:"How far back; beyond 60 the steps are a minute instead of ten seconds · 回溯分钟数，超过 60 时步长为一分钟"`
}

func (a *API) getSeries(_ context.Context, in *getSeriesInput) (*output[insight.Series], error) {
	return &output[insight.Series]{http.StatusOK, a.cfg.Insight.Series(in.Minutes)}, nil
}
