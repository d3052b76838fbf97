package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/tuoguan/tuoguan/internal/jobs"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		step := make(chan error)
		r := jobs.New(map[string]jobs.Work{
			"rekey": func(ctx context.Context, progress func(done, total int64)) error {
				progress(3, 7)
				select {
				case err := <-step:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		}, nil, slog.New(slog.DiscardHandler))
		if _, err := r.Start("nothing"); !errors.Is(err, jobs.ErrUnknownKind) {
			t.Errorf("unknown kind: %v", err)
		}
		first, err := r.Start("rekey")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if again, err := r.Start("rekey"); !errors.Is(err, jobs.ErrRunning) || again.ID != first.ID {
			t.Errorf("second start: %+v, %v, want the one that runs", again, err)
		}
		if j, ok := r.Job(first.ID); !ok || j.State != jobs.Running || j.Done != 3 || j.Total != 7 {
			t.Errorf("running: %+v, %v", j, ok)
		}
		step <- nil
		synctest.Wait()
		if j, _ := r.Job(first.ID); j.State != jobs.Done || j.EndedAt.IsZero() {
			t.Errorf("done: %+v", j)
		}
		second, err := r.Start("rekey")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		step <- errors.New("the disk is full")
		synctest.Wait()
		if j, _ := r.Job(second.ID); j.State != jobs.Failed || j.Problem != "the disk is full" {
			t.Errorf("failed: %+v", j)
		}
		third, err := r.Start("rekey")
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if j, _ := r.Job(third.ID); j.State != jobs.Failed {
			t.Errorf("cut short: %+v", j)
		}
		if _, err := r.Start("rekey"); !errors.Is(err, jobs.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if all := r.Jobs(); len(all) != 3 || all[0].ID != third.ID {
			t.Errorf("jobs: %+v", all)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := jobs.New(nil, nil, slog.New(slog.DiscardHandler))
		defer r.Close()
		leave := make(chan struct{})
		j, err := r.RunBatch("tidy", jobs.By{Owner: "k", Name: "shop"}, func(ctx context.Context, report jobs.Report) error {
			for range 150 {
				report.Failed(jobs.Failure{AppID: "wx1"})
			}
			<-ctx.Done()
			<-leave
			return ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if j, ok := r.Cancel(j.ID); !ok || j.State != jobs.Cancelled || !j.EndedAt.IsZero() || j.Failed != 150 || len(j.Failures) != 100 {
			t.Errorf("cancelled: %+v, %v", j, ok)
		}
		if _, err := r.RunBatch("tidy", jobs.By{}, nil); !errors.Is(err, jobs.ErrRunning) {
			t.Errorf("while it still ends: %v", err)
		}
		close(leave)
		synctest.Wait()
		if j, _ := r.Cancel(j.ID); j.State != jobs.Cancelled || j.EndedAt.IsZero() || j.Problem != "" || j.Owner != "k" || j.StartedBy != "shop" {
			t.Errorf("ended: %+v", j)
		}
		if _, ok := r.Cancel("nothing"); ok {
			t.Error("an unknown job is cancelled")
		}
	})
}
