package sqlstore

import (
	"context"

	"github.com/tuoguan/tuoguan/store"
)

// Setting implements [store.Settings].
func (s *Store) Setting(ctx context.Context, name string) (value []byte, version int64, err error) {
	r, err := readFor(ctx, s, func(tx Tx) (Row, error) { return tx.One(s.q.SelectSetting, name) })
	if err != nil {
		return nil, 0, err
	}
	return r.Blob(), r.Int64(), nil
}

// PutSetting implements [store.Settings].
func (s *Store) PutSetting(ctx context.Context, name string, value []byte, version int64) error {
	if value == nil {
		value = []byte{}
	}
	if version == 0 {
		return s.insert(ctx, s.q.InsertSetting, name, value)
	}
	return s.write(ctx, 1, func(tx Tx) error {
		changed, err := tx.Exec(s.q.UpdateSetting, name, value, version)
		if err == nil && changed == 0 {
			return store.ErrConflict
		}
		return err
	})
}
