package seal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/store"
)

// archive is a store of sealed values, each under a key that is its row. Only what
// Rekey needs of store.Archive works.
type archive struct {
	store.Archive
	ring store.Cipher // what Reseal seals with

	mu            sync.Mutex
	values        map[string][]byte
	before, after hook // as for settings
}

func newArchive(ring store.Cipher, n int) *archive {
	a := &archive{ring: ring, values: make(map[string][]byte)}
	for i := range n {
		key := fmt.Sprintf("%02d", i)
		a.values[key], _ = ring.Seal(rowPlace(key), []byte(key))
	}
	return a
}

func rowPlace(key string) store.Place {
	return store.Place{Component: "wxc", Authorizer: "wxa", Field: "f", Row: key}
}

// Reseal implements store.Archive.
func (a *archive) Reseal(ctx context.Context, after string, limit int) (store.Resealed, error) {
	if err := ctx.Err(); err != nil {
		return store.Resealed{}, err
	}
	if err := a.before.call("reseal"); err != nil {
		return store.Resealed{}, err
	}
	return a.reseal(after, limit), a.after.call("reseal")
}

func (a *archive) reseal(after string, limit int) store.Resealed {
	a.mu.Lock()
	defer a.mu.Unlock()
	var done store.Resealed
	for _, key := range slices.Sorted(maps.Keys(a.values)) {
		switch {
		case key <= after:
			continue
		case done.Looked == limit:
			return done
		}
		done.Looked++
		done.Next = key
		if a.ring.Current(a.values[key]) {
			continue
		}
		plaintext, err := a.ring.Open(rowPlace(key), a.values[key])
		if err != nil {
			done.Failed++
			continue
		}
		a.values[key], _ = a.ring.Seal(rowPlace(key), plaintext)
		done.Changed++
	}
	done.Next = ""
	return done
}

// write seals like a process that is interrupted for a while before it stores.
func (a *archive) write(t testing.TB, c store.Cipher, key, value string) {
	sealed, err := c.Seal(rowPlace(key), []byte(value))
	if err != nil {
		t.Error(err)
		return
	}
	time.Sleep(time.Second)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.values[key] = sealed
}

func (a *archive) read(t testing.TB, c store.Cipher, key string) {
	a.mu.Lock()
	sealed := a.values[key]
	a.mu.Unlock()
	if sealed != nil {
		wantOpen(t, c, rowPlace(key), sealed, key)
	}
}

func (a *archive) readAll(t testing.TB, c store.Cipher) {
	t.Helper()
	for key := range a.values {
		a.read(t, c, key)
	}
}

func (a *archive) wantAllUnder(t testing.TB, version uint32) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, sealed := range a.values {
		if sealed[0] != 2 || binary.BigEndian.Uint32(sealed[1:5]) != version {
			t.Errorf("%s is sealed under %x", key, sealed[:5])
		}
	}
}

func TestRekey(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	a := newArchive(r, 10)
	a.values["05"] = mustSeal(t, newCipher(t, 1), rowPlace("05"), "05") // from before there was a ring
	var phases []seal.Phase
	report, err := r.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1, Batch: 4, Progress: func(p seal.Report) { phases = append(phases, p.Phase) }})
	if err != nil {
		t.Fatal(err)
	}
	want := seal.Report{Version: 2, Phase: seal.Done, Pass: 2, Looked: 10, Resealed: 10, Removed: []uint32{1}}
	report.StartedAt, report.FinishedAt = time.Time{}, time.Time{}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]seal.Phase{seal.Announce, seal.Activate, seal.Settle, seal.Reseal, seal.Retire, seal.Done}, slices.Compact(phases)); diff != "" {
		t.Error(diff)
	}
	a.wantAllUnder(t, 2)
	a.readAll(t, openRing(t, local(t, 1), s)) // with version 1 gone
	if again := rekey(t, r, 0); again.Version != 3 {
		t.Errorf("the next rekeying makes version %d", again.Version)
	}
}

// TestKilledAnywhere stops the rekeying before or after each operation on the store,
// and goes on with another process.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	const values = 7
	run := func(t *testing.T, at int, afterwards bool) (steps int) {
		s := newSettings()
		h := &hooked{Settings: s}
		first := openRing(t, local(t, 1), h)
		a := newArchive(first, values)
		bystander := openRing(t, local(t, 1), s)
		kill := func(string) error {
			steps++
			a.readAll(t, bystander) // every value can be read at every point
			if steps == at {
				return killed
			}
			return nil
		}
		if afterwards {
			h.after, a.after = kill, kill
		} else {
			h.before, a.before = kill, kill
		}
		_, err := first.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1, Batch: 2})
		a.before, a.after = nil, nil
		if at > 0 && at <= steps && !errors.Is(err, killed) {
			t.Errorf("step %d: got %v", at, err)
		}

		second := openRing(t, local(t, 1), s)
		a.readAll(t, second)
		a.ring = second
		// A value written in the meantime, by a process that has not noticed anything.
		if at > 0 && err != nil {
			a.values["99"] = mustSeal(t, bystander, rowPlace("99"), "99")
			report, err := second.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1, Batch: 2})
			if err != nil || report.Phase != seal.Done {
				t.Fatalf("step %d: resumed: %+v, %v", at, report, err)
			}
		}
		a.wantAllUnder(t, second.Version())
		a.readAll(t, openRing(t, local(t, 1), s))
		if second.Version() > 3 {
			t.Errorf("step %d: version %d", at, second.Version())
		}
		return steps
	}
	for _, afterwards := range []bool{false, true} {
		total := run(t, 0, afterwards)
		if total < 20 {
			t.Fatalf("only %d steps", total)
		}
		for at := 1; at <= total; at++ {
			run(t, at, afterwards)
		}
	}
}

// TestProcessFromBeforeResumes: whoever goes on with a rekeying knows the new key
// before it judges what is stale.
func TestProcessFromBeforeResumes(t *testing.T) {
	t.Parallel()
	s := newSettings()
	one, two := openRing(t, local(t, 1), s), openRing(t, local(t, 1), s)
	a := newArchive(one, 6)
	a.before = func(string) error { return store.ErrUnavailable }
	if _, err := one.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1}); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	a.before, a.ring = nil, two
	if report, err := two.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1}); err != nil || report.Resealed != 6 {
		t.Errorf("%+v, %v", report, err)
	}
	a.wantAllUnder(t, 2)
	a.readAll(t, openRing(t, local(t, 1), s))
}

// TestNewVersionIsAnnouncedBeforeItSeals: a process that takes over the ring every
// RefreshInterval never meets a value under a version that it does not have.
func TestNewVersionIsAnnouncedBeforeItSeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSettings()
		driver := openRing(t, local(t, 1), s)
		a := newArchive(driver, 5)
		view := &urgentReads{Settings: s}
		other := openRing(t, local(t, 1), view)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { poll(ctx, other) })
		wg.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
				wantOpen(t, other, place, mustSeal(t, driver, place, "v"), "v")
			}
		})
		var sealedUnder uint32
		report, err := driver.Rekey(t.Context(), a, seal.RekeyConfig{Progress: func(p seal.Report) {
			if p.Phase == seal.Reseal && sealedUnder == 0 {
				sealedUnder = other.Version()
			}
		}})
		if err != nil || report.Phase != seal.Done {
			t.Errorf("%+v, %v", report, err)
		}
		if sealedUnder != 2 {
			t.Errorf("the other process sealed under version %d when the first pass began", sealedUnder)
		}
		stop()
		wg.Wait()
		if n := view.n.Load(); n != 0 {
			t.Errorf("the version had to be looked for %d times", n)
		}
	})
}

// urgentReads counts the reads that an unknown version has caused: they have a deadline.
type urgentReads struct {
	store.Settings
	n atomic.Int64
}

func (u *urgentReads) Setting(ctx context.Context, name string) ([]byte, int64, error) {
	if _, ok := ctx.Deadline(); ok {
		u.n.Add(1)
	}
	return u.Settings.Setting(ctx, name)
}

func TestValueThatDoesNotOpenKeepsTheOldKeys(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r := openRing(t, local(t, 1), s)
	a := newArchive(r, 6)
	sound := slices.Clone(a.values["03"])
	a.values["03"][20] ^= 1
	for range 2 {
		report, err := r.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1, Batch: 2})
		if !errors.Is(err, seal.ErrIncomplete) || report.Failed != 1 || report.Looked != 6 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	a.values["03"] = sound // from a backup
	a.readAll(t, openRing(t, local(t, 1), s))
	report, err := r.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1, Batch: 2})
	if err != nil || report.Version != 2 || !slices.Equal(report.Removed, []uint32{1}) {
		t.Fatalf("%+v, %v", report, err)
	}
	a.wantAllUnder(t, 2)
}

func TestProcessThatDoesNotFollowIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSettings()
	r, deaf := openRing(t, local(t, 1), s), openRing(t, local(t, 1), s)
	a := newArchive(r, 6)
	a.before = func(string) error {
		a.values["03"] = mustSeal(t, deaf, rowPlace("03"), "03")
		return nil
	}
	report, err := r.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1})
	if !errors.Is(err, seal.ErrIncomplete) || report.Changed != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	a.before = nil
	a.readAll(t, openRing(t, local(t, 1), s))
	if report, err := r.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Keep: -1}); err != nil || report.Version != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestRetiredVersionStaysForAWhile: what a process sealed before it was paused can be
// read when it goes on.
func TestRetiredVersionStaysForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSettings()
		r := openRing(t, local(t, 1), s)
		late := mustSeal(t, r, place, "late")
		if report := rekey(t, r, time.Hour); report.Removed != nil {
			t.Errorf("removed %v", report.Removed)
		}
		wantOpen(t, openRing(t, local(t, 1), s), place, late, "late")
		time.Sleep(30 * time.Minute)
		if report := rekey(t, r, time.Hour); report.Removed != nil {
			t.Errorf("removed %v", report.Removed)
		}
		time.Sleep(30 * time.Minute)
		if report := rekey(t, r, time.Hour); !slices.Equal(report.Removed, []uint32{1}) {
			t.Errorf("removed %v", report.Removed)
		}
		if _, err := r.Open(place, late); !errors.Is(err, store.ErrQuarantined) {
			t.Errorf("got %v", err)
		}
	})
}

// TestOldKEKLearnsNothingAfterRekey: whoever has the old master key and a copy of the
// old ring does not get at the new root key.
func TestOldKEKLearnsNothingAfterRekey(t *testing.T) {
	t.Parallel()
	s := newSettings()
	stolen, err := seal.Open(t.Context(), local(t, 1), s)
	if err != nil {
		t.Fatal(err)
	}
	r := openRing(t, local(t, 1), s)
	if err := r.Rewrap(t.Context(), local(t, 2)); err != nil {
		t.Fatal(err)
	}
	rekey(t, r, 0)
	if err := stolen.Refresh(t.Context()); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("the old ring key opens the new ring: %v", err)
	}
}

func TestTwoRekeyingsDoNotMix(t *testing.T) {
	t.Parallel()
	s := newSettings()
	one, two := openRing(t, local(t, 1), s), openRing(t, local(t, 1), s)
	a, b := newArchive(one, 6), &archive{ring: two}
	b.values = a.values
	inside := false
	a.before = func(string) error {
		if !inside {
			inside = true
			if report, err := two.Rekey(t.Context(), b, seal.RekeyConfig{Grace: -1}); err != nil || report.Version != 2 {
				t.Errorf("the second: %+v, %v", report, err)
			}
		}
		return nil
	}
	if _, err := one.Rekey(t.Context(), a, seal.RekeyConfig{Grace: -1, Batch: 2}); !errors.Is(err, seal.ErrRekeying) {
		t.Errorf("the first: %v", err)
	}
	a.readAll(t, one)
}

func TestRekeyStopsWhenTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // within the second wait
		defer cancel()
		report, err := r.Rekey(ctx, newArchive(r, 3), seal.RekeyConfig{})
		if !errors.Is(err, context.DeadlineExceeded) || report.Phase != seal.Settle || !strings.Contains(err.Error(), "settle") {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
