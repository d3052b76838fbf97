package storage

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/memory"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before Installation // none if its ID is empty
		now    string       // the binding found
		want   Installation
		copied bool
	}{
		"a new one":                    {now: "here", want: Installation{Binding: "here"}},
		"a new one that is not bound":  {want: Installation{}},
		"the same":                     {before: Installation{ID: "x", Binding: "here"}, now: "here", want: Installation{ID: "x", Binding: "here"}},
		"a copy":                       {before: Installation{ID: "x", Binding: "there"}, now: "here", want: Installation{ID: "x", Binding: "here"}, copied: true},
		"restored, its gate is closed": {before: Installation{ID: "x"}, now: "here", want: Installation{ID: "x", Binding: "here"}},
		"it cannot be told":            {before: Installation{ID: "x", Binding: "there"}, want: Installation{ID: "x", Binding: "there"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memory.New(memory.Config{})
			if tt.before.ID != "" {
				if err := putSetting(t.Context(), s, InstallationSetting, tt.before, 0); err != nil {
					t.Fatal(err)
				}
			}
			got, copied, err := identify(t.Context(), s, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.ID == "" && got.ID != "" {
				tt.want.ID = got.ID
			}
			if got != tt.want || copied != tt.copied || got.ID == "" {
				t.Errorf("got %+v, copied %t", got, copied)
			}
			gate, err := Gate(t.Context(), s)
			if err != nil || gate.ClosedAt.IsZero() == tt.copied {
				t.Errorf("the gate is %+v, %v", gate, err)
			}
			again, copied, err := identify(t.Context(), s, tt.now)
			if err != nil || copied || again != got {
				t.Errorf("the second time %+v, copied %t, %v", again, copied, err)
			}
		})
	}
}

// Many processes may start on a copy at once: all of them find the gate closed.
func TestIdentifyTogether(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{})
	if err := putSetting(t.Context(), s, InstallationSetting, Installation{ID: "x", Binding: "there"}, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			i, _, err := identify(t.Context(), s, "here")
			if err != nil || i.ID != "x" || i.Binding != "here" {
				t.Errorf("got %+v, %v", i, err)
			}
			if gate, err := Gate(t.Context(), s); err != nil || gate.Reason != ReasonCopied {
				t.Errorf("the gate is %+v, %v", gate, err)
			}
		})
	}
	wg.Wait()
}

// dying loses its store after the first write.
type dying struct {
	store.Store
	writes int
}

var errDead = errors.New("dead")

func (d *dying) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	if d.writes++; d.writes > 1 {
		return errDead
	}
	return d.Store.PutSetting(ctx, name, value, version)
}

// Who dies half way has closed the gate already.
func TestTheGateIsClosedFirst(t *testing.T) {
	t.Parallel()
	s := memory.New(memory.Config{})
	if err := putSetting(t.Context(), s, InstallationSetting, Installation{ID: "x", Binding: "there"}, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := identify(t.Context(), &dying{Store: s}, "here"); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if gate, err := Gate(t.Context(), s); err != nil || gate.Reason != ReasonCopied {
		t.Errorf("the gate is %+v, %v", gate, err)
	}
	if _, copied, err := identify(t.Context(), s, "here"); err != nil || !copied {
		t.Errorf("the next one: copied %t, %v", copied, err)
	}
}
