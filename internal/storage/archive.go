package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/tuoguan/tuoguan/internal/backup"
	"github.com/tuoguan/tuoguan/internal/config"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/keeper"
	"github.com/tuoguan/tuoguan/store"
)

// ErrNotEmpty: the storage to restore into holds something.
var ErrNotEmpty = errors.New("the storage is not empty")

// settingsTable is the table of the settings in a record of an archive.
const settingsTable = "meta"

// Backup writes a backup of all there is, as of one instant, to w. Progress, if it
// is not nil, is called now and then with the number of records written so far.
func (o *Opened) Backup(ctx context.Context, w io.Writer, version string, progress func(records int64)) (backup.Info, error) {
	info := backup.Info{MadeAt: time.Now(), Engine: string(o.Engine), Version: version, Installation: o.Installation.ID}
	return backup.Write(ctx, w, o.KEK, info, o.Archive.Dump(ctx), progress)
}

// Verify finds out, beyond what [backup.Open] has, whether the key ring in a backup
// opens under the master key.
func Verify(ctx context.Context, b *backup.Backup, kek seal.KEK) error {
	found := make(ringSettings)
	for r, err := range b.Records(ctx) {
		if err != nil {
			return err
		}
		if name, value, ok := settingOf(r); ok {
			found[name] = slices.Clone(value)
		}
	}
	_, err := seal.Open(ctx, kek, found)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: it has no key ring", backup.ErrDamaged)
	}
	return err
}

// Restore puts what is in a backup into the storage that the configuration names,
// which must hold no component and no authorizer: all of it or nothing. The gate is
// closed with the same stroke, so that nothing is refreshed before WeChat has been
// asked what is true by now. The storage is opened to see that it can be, and closed.
func Restore(ctx context.Context, cfg config.Config, o Options, b *backup.Backup, kek seal.KEK, progress func(records int64)) error {
	if err := Verify(ctx, b, kek); err != nil {
		return err
	}
	o = o.withDefaults()
	target := &Opened{Engine: cfg.Engine()}
	// Nothing is read or sealed here: the records are sealed already, and the key ring
	// is among them.
	if err := target.connect(ctx, cfg, o, store.Under(seal.Plain{})); err != nil {
		return err
	}
	if err := target.load(ctx, b, progress); err != nil {
		return errors.Join(err, target.Close())
	}
	if err := target.Close(); err != nil {
		return err
	}
	opened, err := Open(ctx, cfg, o)
	if err != nil {
		return fmt.Errorf("open what was restored: %w", err)
	}
	return opened.Close()
}

// MoveAside renames the files of a SQLite database that nobody has open, so that
// another one can take their place, and returns where the database is now.
func MoveAside(cfg config.Config, at time.Time) (string, error) {
	path := cfg.SQLitePath()
	aside := path + ".before-" + at.UTC().Format("20060102T150405Z")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

func (o *Opened) load(ctx context.Context, b *backup.Backup, progress func(int64)) error {
	now, err := o.Store.Changes(ctx, time.Time{})
	if err != nil {
		return fmt.Errorf("read the clock of the storage: %w", err)
	}
	madeAt, restoredAt := b.Info.MadeAt, now.Now.UTC()
	err = o.Archive.Load(ctx, counted(restored(b.Records(ctx), map[string]any{
		keeper.GateSetting:  keeper.Gate{ClosedAt: restoredAt, Reason: ReasonRestored},
		InstallationSetting: Installation{ID: b.Info.Installation, RestoredAt: &restoredAt, BackupAt: &madeAt},
	}), progress))
	if errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("%w: %w", ErrNotEmpty, err)
	}
	return err
}

// restored yields the records with settings in the place of those of the same names.
func restored(records iter.Seq2[store.Record, error], settings map[string]any) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		added := false
		for r, err := range records {
			if err != nil {
				yield(r, err)
				return
			}
			name, _, ok := settingOf(r)
			if ok && !added {
				added = true
				for name, value := range settings {
					if !yield(newSetting(r, name, value)) {
						return
					}
				}
			}
			if _, replaced := settings[name]; ok && replaced {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
		if !added {
			yield(store.Record{}, fmt.Errorf("%w: it has no settings", backup.ErrDamaged))
		}
	}
}

// settingOf returns the setting that a record is.
func settingOf(r store.Record) (name string, value []byte, ok bool) {
	n, v := slices.Index(r.Columns, "name"), slices.Index(r.Columns, "value")
	if r.Table != settingsTable || n < 0 || v < 0 {
		return "", nil, false
	}
	name, _ = r.Values[n].(string)
	value, _ = r.Values[v].([]byte)
	return name, value, true
}

// newSetting returns a record like another setting.
func newSetting(like store.Record, name string, value any) (store.Record, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return store.Record{}, err
	}
	r := store.Record{Table: like.Table, Columns: like.Columns, Values: slices.Clone(like.Values)}
	for i, column := range r.Columns {
		switch column {
		case "name":
			r.Values[i] = name
		case "value":
			r.Values[i] = raw
		case "version":
			r.Values[i] = int64(1)
		}
	}
	return r, nil
}

// counted tells how many records have passed.
func counted(records iter.Seq2[store.Record, error], progress func(int64)) iter.Seq2[store.Record, error] {
	if progress == nil {
		return records
	}
	return func(yield func(store.Record, error) bool) {
		var n int64
		for r, err := range records {
			if !yield(r, err) {
				return
			}
			if n++; n%1000 == 0 {
				progress(n)
			}
		}
		progress(n)
	}
}

// ringSettings are the settings found in a backup. They cannot be changed.
type ringSettings map[string][]byte

func (s ringSettings) Setting(_ context.Context, name string) ([]byte, int64, error) {
	value, ok := s[name]
	if !ok {
		return nil, 0, store.ErrNotFound
	}
	return value, 1, nil
}

func (s ringSettings) PutSetting(context.Context, string, []byte, int64) error {
	return store.ErrConflict
}
