package sqlpool

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query, numbered, plain string
		numberedOrder, order   []int
		writes                 bool
	}{
		"plain": {
			"SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = $1 AND c = $2", "SELECT a FROM t WHERE b = ? AND c = ?",
			[]int{0, 1}, []int{0, 1}, false,
		},
		"numbered": {
			"UPDATE t SET a = ?2, b = ?12 WHERE c = ?1 OR d = ?2", "UPDATE t SET a = $1, b = $2 WHERE c = $3 OR d = $1", "UPDATE t SET a = ?, b = ? WHERE c = ? OR d = ?",
			[]int{1, 11, 0}, []int{1, 11, 0, 1}, true,
		},
		"left out": {
			"INSERT INTO t VALUES (?3)", "INSERT INTO t VALUES ($1)", "INSERT INTO t VALUES (?)",
			[]int{2}, []int{2}, true,
		},
		"quotes": {
			"SELECT 'is ?1 it''s ?', ?1, '' FROM t", "SELECT 'is ?1 it''s ?', $1, '' FROM t", "SELECT 'is ?1 it''s ?', ?, '' FROM t",
			[]int{0}, []int{0}, false,
		},
		"open quote": {"SELECT ? 'a?", "SELECT $1 'a?", "SELECT ? 'a?", []int{0}, []int{0}, false},
		"nothing":    {"WITH x AS (DELETE FROM t) SELECT 1", "WITH x AS (DELETE FROM t) SELECT 1", "WITH x AS (DELETE FROM t) SELECT 1", nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := cmp.AllowUnexported(statement{})
			if diff := cmp.Diff(&statement{tt.numbered, tt.numberedOrder, tt.writes}, translate(tt.query, true), same); diff != "" {
				t.Errorf("numbered (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(&statement{tt.plain, tt.order, tt.writes}, translate(tt.query, false), same); diff != "" {
				t.Errorf("plain (-want +got):\n%s", diff)
			}
		})
	}
}
