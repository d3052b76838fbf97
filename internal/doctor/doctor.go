// Package doctor looks for what is wrong with an installation and says what to do:
// beside a server that runs, in place of one that does not, or inside it.
package doctor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/obs"
	"github.com/tuoguan/tuoguan/store"
)

// Status is the outcome of a check.
type Status string

// Outcomes of a check.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, but should be looked at
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Check is one thing looked at, with what to do about it, in English and Chinese.
type Check struct {
	Name     string `json:"name"`
	Status   Status `json:"status" enum:"ok,warning,failed,skipped"`
	Detail   string `json:"detail"`
	DetailZh string `json:"detail_zh"`
	Action   string `json:"action,omitempty"`
	ActionZh string `json:"action_zh,omitempty"`
}

// advise adds what to do.
func (c *Check) advise(action, actionZh string) { c.Action, c.ActionZh = action, actionZh }

// Report is what was found.
type Report struct {
	OK     bool    `json:"ok" doc:"Nothing has failed · 没有失败项"`
	Checks []Check `json:"checks"`
}

// Component is what a running server says of a component.
type Component struct {
	AppID            tuoguan.ComponentAppID
	TicketReceivedAt time.Time // zero: never
}

// Outside examines an installation from a process of its own.
type Outside struct {
	Config   config.Config
	AdminURL string // of the admin listener, where a server answers if it runs
	// Components asks the running server. Nil if there is no key for that.
	Components func(context.Context) ([]Component, error)
}

// Examine makes all checks, within a minute. It changes nothing, and makes one call to
// WeChat for each component.
func (o Outside) Examine(ctx context.Context) (report Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d := &examination{cfg: o.Config, address: o.AdminURL, ask: o.Components}
	defer func() {
		if d.close != nil {
			err = errors.Join(err, d.close())
		}
	}()
	d.add("configuration", OK, "no mistakes", "无误")
	d.masterKey()
	d.server(ctx)
	d.storage(ctx)
	d.spill()
	components, err := d.components(ctx)
	if err != nil {
		return Report{}, err
	}
	d.network(ctx, components)
	return d.report(), nil
}

// Inside examines an installation from the server's own process.
type Inside struct {
	Config config.Config
	Store  store.Store
	// Shared: several processes may have the storage open.
	Shared bool
	// Problems returns what the server knows to be wrong.
	Problems func(context.Context) []obs.Problem
}

// insideLimit is how long an examination inside the server may take.
const insideLimit = 9 * time.Second

// Examine makes the checks that a server can make of itself, within ten seconds. What
// has not answered by then is said to be so.
func (i Inside) Examine(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, insideLimit)
	defer cancel()
	d := &examination{cfg: i.Config, store: i.Store, running: true, inside: true}
	d.add("configuration", OK, "no mistakes", "无误")
	d.masterKey()
	d.add("server", OK, "runs, and examines itself", "正在运行（自检）")
	d.verified()
	d.write(ctx, i.Shared)
	d.missing(i.Problems(ctx), true)
	d.spill()
	components, err := d.components(ctx)
	if err != nil {
		d.unstorable(err)
	}
	d.network(ctx, components)
	return d.report()
}

// examination is what was looked at and what was found.
type examination struct {
	cfg     config.Config
	inside  bool // the server's own process
	running bool // the server answers
	address string
	ask     func(context.Context) ([]Component, error)
	known   []Component // what the running server has answered

	store  store.Store // nil where only the server may have it open, or it could not be
	close  func() error
	checks []Check
}

func (d *examination) add(name string, status Status, detail, detailZh string) *Check {
	d.checks = append(d.checks, Check{Name: name, Status: status, Detail: detail, DetailZh: detailZh})
	return &d.checks[len(d.checks)-1]
}

func (d *examination) report() Report {
	failed := slices.ContainsFunc(d.checks, func(c Check) bool { return c.Status == Failed })
	return Report{OK: !failed, Checks: d.checks}
}

// atOnce bounds the checks that wait for the network at the same time.
const atOnce = 8

// network makes the checks that ask others, at the same time, and reports them in order.
func (d *examination) network(ctx context.Context, components []store.Component) {
	looks := []func(*examination){func(d *examination) { d.clock(ctx) }}
	for _, c := range components {
		looks = append(looks, func(d *examination) { d.credentials(ctx, c) }, func(d *examination) { d.ticket(ctx, c.AppID) })
	}
	looks = append(looks, func(d *examination) { d.public(ctx, components) })
	parts := make([]examination, len(looks))
	slots := make(chan struct{}, atOnce)
	var work sync.WaitGroup
	for i, look := range looks {
		parts[i] = *d
		parts[i].checks = nil
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			look(&parts[i])
		})
	}
	work.Wait()
	for _, part := range parts {
		d.checks = append(d.checks, part.checks...)
	}
}
