package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/internal/failpoint"
	"github.com/tuoguan/tuoguan/store"
)

var (
	// ErrIncomplete: values are left that are not sealed under the new root key. The
	// old ones stay in the ring.
	ErrIncomplete = errors.New("seal: rekeying is not complete, the old keys stay")
	// ErrRekeying: another process works on the same rekeying.
	ErrRekeying = errors.New("seal: another process is rekeying")
)

// maxPasses bounds how often the store is gone through for a last stale value. A
// second pass finds none, unless a process seals under an old key all the time.
const maxPasses = 5

// RekeyConfig says how [Ring.Rekey] goes about it.
type RekeyConfig struct {
	// Grace is how long all processes on the store are given to take over a change of
	// the ring. Defaults to twice [RefreshInterval]. Negative means none, which is
	// right only where the store has no other process.
	Grace time.Duration
	// Keep is how long a root key stays in the ring after nothing was found any more
	// that is sealed under it: for a process that was paused between sealing and
	// storing, for a spill file on a machine that is away. The first rekeying after
	// that time removes it. Defaults to 30 days. Negative means none.
	Keep time.Duration
	// Batch is how many records are sealed anew at a time. Defaults to 200.
	Batch int
	// Progress, if not nil, is called after every step.
	Progress func(Report)
}

func (c RekeyConfig) withDefaults() RekeyConfig {
	if c.Grace == 0 {
		c.Grace = 2 * RefreshInterval
	}
	if c.Keep == 0 {
		c.Keep = 30 * 24 * time.Hour
	}
	if c.Batch <= 0 {
		c.Batch = 200
	}
	if c.Progress == nil {
		c.Progress = func(Report) {}
	}
	return c
}

// Phase is a step of a rekeying.
type Phase string

// The phases, in order.
const (
	Announce Phase = "announce" // put a new root key into the ring; nobody seals under it
	Activate Phase = "activate" // wait until every process has it, then seal under it
	Settle   Phase = "settle"   // wait until every process seals under it
	Reseal   Phase = "reseal"   // seal what is there anew, until a pass finds nothing to do
	Retire   Phase = "retire"   // retire the old root keys, remove those retired long ago
	Done     Phase = "done"
)

// Report is how far a rekeying has come. The store keeps it as well, so that a
// rekeying that was interrupted goes on where it was.
type Report struct {
	Version    uint32    `json:"version"`  // of the new root key
	Phase      Phase     `json:"phase"`    // what is done next
	Pass       int       `json:"pass"`     // over the store, from 1
	Looked     int       `json:"looked"`   // records looked at in this pass
	Changed    int       `json:"changed"`  // records sealed anew in this pass
	Failed     int       `json:"failed"`   // records in this pass with a value that does not open
	Resealed   int       `json:"resealed"` // records sealed anew in all passes
	Removed    []uint32  `json:"removed,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`

	After string `json:"after"` // where the pass goes on
}

// Rekey makes a new root key, seals every value anew under it and retires the keys
// before it, while all processes on the store go on with their work. The archive must
// be of a store that seals with this ring.
//
// It may be interrupted at any point, and every value can be read at any point; the
// next call goes on, in whatever process. A value that does not open leaves the old
// keys in the ring: the error then matches [ErrIncomplete], the report says how many
// there are, and the next call looks again, under the same new key.
func (r *Ring) Rekey(ctx context.Context, archive store.Archive, cfg RekeyConfig) (Report, error) {
	cfg = cfg.withDefaults()
	j, err := r.resume(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("rekey: %w", err)
	}
	for j.Phase != Done {
		cfg.Progress(j.Report)
		before := j.Report
		err := j.step(ctx, archive, cfg)
		incomplete := errors.Is(err, ErrIncomplete)
		if err != nil && !incomplete {
			return before, fmt.Errorf("rekey: %s: %w", before.Phase, err)
		}
		seen := j.Report
		if incomplete {
			j.startPass(1) // for the next call
		}
		if saveErr := j.save(ctx); saveErr != nil || incomplete {
			return seen, errors.Join(err, saveErr)
		}
	}
	cfg.Progress(j.Report)
	return j.Report, nil
}

// job is a rekeying with the place in the store where its report is kept.
type job struct {
	ring    *Ring
	setting int64
	Report
}

// resume returns the rekeying that was interrupted, or begins one.
func (r *Ring) resume(ctx context.Context) (*job, error) {
	if err := r.Refresh(ctx); err != nil {
		return nil, err
	}
	j := &job{ring: r}
	if err := j.load(ctx); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if j.setting != 0 && j.Phase != Done {
		return j, nil
	}
	c, _, err := r.read(ctx, func(int64) bool { return false })
	if err != nil {
		return nil, err
	}
	j.Report = Report{Version: c.latest() + 1, Phase: Announce, StartedAt: time.Now().UTC().Truncate(time.Second)}
	return j, j.save(ctx)
}

func (j *job) load(ctx context.Context) error {
	text, version, err := j.ring.settings.Setting(ctx, settingRekey)
	if err != nil {
		return fmt.Errorf("read the progress: %w", err)
	}
	var stored Report
	if err := json.Unmarshal(text, &stored); err != nil {
		return fmt.Errorf("read the progress: %w", err)
	}
	j.setting, j.Report = version, stored
	return nil
}

// save stores the progress, unless somebody else has made some.
func (j *job) save(ctx context.Context) error {
	text, err := json.Marshal(j.Report)
	if err != nil {
		return err
	}
	err = j.ring.settings.PutSetting(ctx, settingRekey, text, j.setting)
	if errors.Is(err, store.ErrConflict) {
		return ErrRekeying
	}
	if err != nil {
		return fmt.Errorf("store the progress: %w", err)
	}
	report := j.Report
	if err := j.load(ctx); err != nil { // for the version
		return err
	}
	if j.Report.Phase != report.Phase || j.After != report.After {
		return ErrRekeying
	}
	return nil
}

// step does what the phase demands and moves on to the next. Every step may be done
// twice.
func (j *job) step(ctx context.Context, archive store.Archive, cfg RekeyConfig) error {
	switch j.Phase {
	case Announce:
		j.Phase = Activate
		return j.ring.announce(ctx, j.Version)
	case Activate:
		if err := wait(ctx, cfg.Grace); err != nil {
			return err
		}
		j.Phase = Settle
		return j.ring.activate(ctx, j.Version)
	case Settle:
		j.Phase = Reseal
		j.startPass(1)
		return wait(ctx, cfg.Grace)
	case Reseal:
		return j.reseal(ctx, archive, cfg.Batch)
	case Retire:
		removed, err := j.ring.retire(ctx, j.Version, cfg.Keep)
		j.Phase, j.Removed, j.FinishedAt = Done, removed, time.Now().UTC().Truncate(time.Second)
		return err
	default:
		return errors.New("unknown; a newer program has begun this")
	}
}

func (j *job) startPass(pass int) {
	j.Pass, j.After, j.Looked, j.Changed, j.Failed = pass, "", 0, 0, 0
}

// reseal does a batch, and draws the conclusion at the end of a pass.
func (j *job) reseal(ctx context.Context, archive store.Archive, limit int) error {
	// Under another version, this process would take stale values for current ones.
	if have := j.ring.Version(); have != j.Version {
		return fmt.Errorf("the key ring seals under version %d instead of %d", have, j.Version)
	}
	done, err := archive.Reseal(ctx, j.After, limit)
	if err != nil {
		return err
	}
	if err := failpoint.Hit(failpoint.RekeyMidBatch); err != nil {
		return err
	}
	j.After = done.Next
	j.Looked += done.Looked
	j.Changed += done.Changed
	j.Failed += done.Failed
	j.Resealed += done.Changed
	switch {
	case j.After != "":
	case j.Failed > 0:
		return fmt.Errorf("%w: %d records have a value that does not open", ErrIncomplete, j.Failed)
	case j.Pass >= 2 && j.Changed == 0:
		j.Phase = Retire
	case j.Pass >= maxPasses:
		return fmt.Errorf("%w: in pass %d, %d records were still sealed under an old key; is a process running that does not follow?", ErrIncomplete, j.Pass, j.Changed)
	default:
		j.startPass(j.Pass + 1)
	}
	return nil
}

func (r *Ring) announce(ctx context.Context, number uint32) error {
	return r.update(ctx, func(c *contents) (bool, error) {
		if err := r.sameKEK(c); err != nil || c.latest() >= number {
			return false, err
		}
		c.add(number, randomKey(), time.Now())
		return true, nil
	})
}

func (r *Ring) activate(ctx context.Context, number uint32) error {
	return r.update(ctx, func(c *contents) (bool, error) {
		if c.Current >= number {
			return false, nil
		}
		if c.roots[number] == nil {
			return false, fmt.Errorf("version %d is not in the key ring", number)
		}
		c.Current = number
		return true, nil
	})
}

// retire retires the versions before current, removes those that were retired keep
// ago, and makes a new ring key: whoever had the old one, or a KEK from before
// [Ring.Rewrap], learns nothing from the ring any more.
func (r *Ring) retire(ctx context.Context, current uint32, keep time.Duration) (removed []uint32, err error) {
	err = r.update(ctx, func(c *contents) (bool, error) {
		if err := r.sameKEK(c); err != nil {
			return false, err
		}
		if c.Current != current {
			return false, fmt.Errorf("the key ring seals under version %d instead of %d", c.Current, current)
		}
		now := time.Now().UTC().Truncate(time.Second)
		removed = nil
		for i := range c.Versions {
			v := &c.Versions[i]
			if v.Version < current && v.RetiredAt.IsZero() {
				v.RetiredAt = now
			}
		}
		c.Versions = slices.DeleteFunc(c.Versions, func(v version) bool {
			gone := v.Version < current && now.Sub(v.RetiredAt) >= keep
			if gone {
				removed = append(removed, v.Version)
			}
			return gone
		})
		return true, c.wrap(ctx, r.currentKEK(), randomKey())
	})
	return removed, err
}

// sameKEK refuses a ring that this process follows, but could not open again.
func (r *Ring) sameKEK(c *contents) error {
	if kek := r.currentKEK(); c.KEK != kek.ID() {
		return fmt.Errorf("%w: the key ring is wrapped under %q by now, this process was started with %q", ErrWrongKey, c.KEK, kek.ID())
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
