package sqlite_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

// crowded opens a store with so many authorizers of two components: every hundredth is
// revoked, one in five thousand has to authorize again, every tenth is tagged vip and one
// is tagged rare, and one has a name that is like no other.
func crowded(b *testing.B, accounts int) *sqlite.Store {
	b.Helper()
	dir, err := os.MkdirTemp(os.Getenv("BENCH_DIR"), "tuoguan")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := dir + "/bench.db"
	if err := open(b, path).Close(); err != nil {
		b.Fatal(err)
	}
	execSQL(b, path, `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
		INSERT INTO authorizers (component, authorizer, state, grant_no, authorized_at, reference, tags, func_info, refresh_token_grant,
			expires_at, obtained_at, epoch, refresh_at, profile_grant, kind, nick_name, nick_name_folded, user_name, principal_name, profile_raw, created_at, updated_at)
		SELECT 'wxcomponent' || (i % 2), printf('wx%016d', i),
			CASE WHEN i % 100 = 99 THEN 'revoked' WHEN i % 5000 = 4998 THEN 'needs_reauthorization' ELSE 'active' END,
			1, ?2, 'tenant-' || i, CASE WHEN i = ?1 - 7 THEN ',rare,' WHEN i % 10 = 0 THEN ',vip,' ELSE '' END,
			hex(randomblob(200)), 1, ?2 + 7200000, ?2, 1, ?2 + 5400000, 1, CASE WHEN i % 3 = 0 THEN 'official_account' ELSE 'mini_program' END,
			CASE WHEN i = ?1 - 8 THEN 'Einmaliger Laden' ELSE '店铺 Shop ' || i END, CASE WHEN i = ?1 - 8 THEN 'einmaliger laden' ELSE '店铺 shop ' || i END,
			printf('gh_%012d', i), '公司 ' || i, hex(randomblob(600)), ?2, ?2 FROM n`, accounts, time.Now().UnixMilli())
	execSQL(b, path, `INSERT INTO authorizer_permission_sets (component, authorizer, permission_set)
		SELECT component, authorizer, s.column1 FROM authorizers, (VALUES (1), (7), (11), (18)) s`)
	return open(b, path)
}

// BenchmarkRatioList is how long a page of authorizers takes at the 95th percentile, of
// ten thousand and of a hundred thousand, by what is looked for.
func BenchmarkRatioList(b *testing.B) {
	const small, large = 10_000, 100_000
	lists := []struct {
		name  string
		query func(accounts int) store.AuthorizerQuery
	}{
		{"first page", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{} }},
		{"late page", func(n int) store.AuthorizerQuery {
			return store.AuthorizerQuery{After: tuoguan.Authorization{Component: "wxcomponent1", Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wx%016d", n/2))}}
		}},
		{"second component", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Component: "wxcomponent1"} }},
		{"state active", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{State: tuoguan.StateActive} }},
		{"state needs_reauthorization", func(int) store.AuthorizerQuery {
			return store.AuthorizerQuery{State: tuoguan.StateNeedsReauthorization}
		}},
		{"kind", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Kind: tuoguan.KindOfficialAccount} }},
		{"permission set that nobody has", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{PermissionSet: 99} }},
		{"tag of many", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Tag: "vip"} }},
		{"tag of one", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Tag: "rare"} }},
		{"tag of nobody", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Tag: "none"} }},
		{"q in every name", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Text: "shop"} }},
		{"q in one name", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Text: "Einmalig"} }},
		{"q in no name", func(int) store.AuthorizerQuery { return store.AuthorizerQuery{Text: "没有这家店"} }},
		{"q an AppID", func(n int) store.AuthorizerQuery {
			return store.AuthorizerQuery{Text: fmt.Sprintf("wx%016d", n-5)}
		}},
		{"q an original id", func(n int) store.AuthorizerQuery {
			return store.AuthorizerQuery{Text: fmt.Sprintf("GH_%012d", n-5)}
		}},
		{"q and state", func(int) store.AuthorizerQuery {
			return store.AuthorizerQuery{Text: "shop", State: tuoguan.StateNeedsReauthorization}
		}},
		{"reach of a tag of one", func(int) store.AuthorizerQuery {
			return store.AuthorizerQuery{Reach: store.Reach{Tags: []string{"rare"}}}
		}},
	}
	stores := map[int]*sqlite.Store{small: crowded(b, small), large: crowded(b, large)}
	p95 := func(b *testing.B, read func() error) float64 {
		b.Helper()
		var took []time.Duration
		for range 21 {
			began := time.Now()
			if err := read(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return float64(took[len(took)*95/100]) / float64(time.Millisecond)
	}
	report := func(b *testing.B, read func(s *sqlite.Store, accounts int) error) {
		b.Helper()
		for b.Loop() {
			few := p95(b, func() error { return read(stores[small], small) })
			many := p95(b, func() error { return read(stores[large], large) })
			b.ReportMetric(few, "ms-10k-p95")
			b.ReportMetric(many, "ms-100k-p95")
			b.ReportMetric(many/few, "ratio")
		}
		b.ReportMetric(0, "ns/op")
	}
	for _, list := range lists {
		b.Run(list.name, func(b *testing.B) {
			report(b, func(s *sqlite.Store, accounts int) error {
				q := list.query(accounts)
				q.Limit = store.DefaultLimit + 1
				_, err := s.Authorizers(b.Context(), q)
				return err
			})
		})
	}
	b.Run("count by state", func(b *testing.B) {
		report(b, func(s *sqlite.Store, _ int) error {
			_, err := s.CountAuthorizers(b.Context())
			return err
		})
	})
}
