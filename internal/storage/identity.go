package storage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// InstallationSetting is the name of the setting that holds an [Installation] as JSON.
const InstallationSetting = "installation"

// Why a gate was closed.
const (
	ReasonRestored = "restored" // the content came out of a backup
	ReasonCopied   = "copied"   // the database is not the one that it was
)

// Installation is what a database says of itself.
type Installation struct {
	ID string `json:"id"` // random, made with the database; a restored one keeps it
	// Binding says which database this is, in a way that a copy of it does not share.
	// Empty where that is not known yet, or cannot be known.
	Binding    string     `json:"binding,omitempty"`
	RestoredAt *time.Time `json:"restored_at,omitempty"`
	BackupAt   *time.Time `json:"backup_at,omitempty"` // when the backup was made that it was restored from
}

// identify compares what the database says of itself with what it is. The database
// of another installation that was copied here still says that it is that one; then
// the gate is closed, and the copy says who it is from now on.
func identify(ctx context.Context, s store.Store, binding string) (i Installation, copied bool, err error) {
	for {
		version, err := setting(ctx, s, InstallationSetting, &i)
		if err != nil {
			return Installation{}, false, err
		}
		if i.ID != "" && (binding == "" || i.Binding == binding) {
			return i, copied, nil
		}
		if i.Binding != "" && !copied {
			// First the gate: whoever dies now finds it closed, and closes it once more.
			if err := closeGate(ctx, s, ReasonCopied); err != nil {
				return Installation{}, false, err
			}
			copied = true
		}
		if i.ID == "" {
			i.ID = rand.Text()
		}
		i.Binding = binding
		if err := putSetting(ctx, s, InstallationSetting, i, version); !errors.Is(err, store.ErrConflict) {
			return i, copied, err
		}
	}
}

// closeGate closes the gate for all components there are.
func closeGate(ctx context.Context, s store.Store, reason string) error {
	for {
		var g keeper.Gate
		version, err := setting(ctx, s, keeper.GateSetting, &g)
		if err != nil {
			return err
		}
		now, err := s.Changes(ctx, time.Time{})
		if err != nil {
			return fmt.Errorf("read the clock of the storage: %w", err)
		}
		g = keeper.Gate{ClosedAt: now.Now.UTC(), Reason: reason}
		if err := putSetting(ctx, s, keeper.GateSetting, g, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// Gate returns the gate. A zero one was never closed.
func Gate(ctx context.Context, s store.Settings) (keeper.Gate, error) {
	var g keeper.Gate
	_, err := setting(ctx, s, keeper.GateSetting, &g)
	return g, err
}

// setting reads a setting into value, which stays as it is if there is none.
func setting(ctx context.Context, s store.Settings, name string, value any) (version int64, err error) {
	raw, version, err := s.Setting(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, value)
	}
	if err != nil {
		return 0, fmt.Errorf("read the setting %s: %w", name, err)
	}
	return version, nil
}

func putSetting(ctx context.Context, s store.Settings, name string, value any, version int64) error {
	raw, err := json.Marshal(value)
	if err == nil {
		err = s.PutSetting(ctx, name, raw, version)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("store the setting %s: %w", name, err)
	}
	return err
}
