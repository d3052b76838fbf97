package sqlstore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// TestRow reads values as the drivers of several databases deliver them.
func TestRow(t *testing.T) {
	t.Parallel()
	r := sqlstore.NewRow([]any{
		"text", []byte("bytes for text"), nil, int64(7), nil, int64(1), nil,
		[]byte{}, []byte(nil), "text for bytes", nil,
	})
	got := []any{
		r.Text(), r.Text(), r.Text(), r.Int64(), r.Int(), r.Time(), r.Time(),
		r.Blob(), r.Blob(), r.Blob(), r.Blob(),
	}
	want := []any{
		"text", "bytes for text", "", int64(7), 0, time.UnixMilli(1).UTC(), time.Time{},
		[]byte{}, []byte{}, []byte("text for bytes"), []byte(nil), // only NULL is nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arg, want any }{
		{1, int64(1)},
		{int64(1), int64(1)},
		{"a", "a"},
		{nil, nil},
		{[]byte(nil), nil},
		{[]byte{}, []byte{}},
		{time.Time{}, int64(0)},
		{time.UnixMilli(1234), int64(1234)},
		{tuoguan.ComponentAppID("wx"), "wx"},
		{tuoguan.AuthorizerAppID("wx"), "wx"},
		{tuoguan.StateActive, "active"},
		{tuoguan.KindMiniProgram, string(tuoguan.KindMiniProgram)},
		{tuoguan.PermissionSet(17), int64(17)},
		{store.FromRefresh, "refresh"},
		{store.ExchangePending, "pending"},
	} {
		if diff := cmp.Diff(tt.want, sqlstore.Value(tt.arg)); diff != "" {
			t.Errorf("%T: %s", tt.arg, diff)
		}
	}
}
