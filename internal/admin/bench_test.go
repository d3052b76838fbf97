package admin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/access"
	"github.com/tuoguan/tuoguan/internal/seal"
	"github.com/tuoguan/tuoguan/internal/services/servicetest"
	"github.com/tuoguan/tuoguan/store"
	"github.com/tuoguan/tuoguan/store/postgres"
	"github.com/tuoguan/tuoguan/store/sqlite"
)

// BenchmarkRatioTokenEndpoint compares reading an access token over HTTP, with a key
// that is looked up and bound to a tag, with two others that stand beside it: a bare
// net/http handler that writes the same JSON, and one that does the same work without
// a cache, which is to read the key and the authorizer from a database each time. All
// take turns within one run and are driven by the same client on the same processors,
// so that each side includes its cost.
func BenchmarkRatioTokenEndpoint(b *testing.B) {
	master, err := seal.NewLocal(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	keys := func(ctx context.Context, s store.Settings) (store.Cipher, error) { return seal.Open(ctx, master, s) }
	b.Run("SQLite", func(b *testing.B) {
		db, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db"), Keys: keys})
		if err != nil {
			b.Fatal(err)
		}
		benchmarkTokenEndpoint(b, db)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		db, err := postgres.Open(b.Context(), postgres.Config{URL: tuoguan.NewSecret(servicetest.Postgres(b)), Keys: keys})
		if err != nil {
			b.Fatal(err)
		}
		benchmarkTokenEndpoint(b, db)
	})
}

// database is the part of a store that an endpoint without a cache reads, and what it
// takes to fill it.
type database interface {
	store.Store
	store.APIKeys
}

func benchmarkTokenEndpoint(b *testing.B, db database) {
	b.Cleanup(func() { _ = db.Close() })
	const connections, perTurn = 16, 512
	a := tuoguan.Authorization{Component: component, Authorizer: account}
	grant := store.Grant{
		Authorization: a, AuthorizedAt: expiry, ObtainedAt: expiry,
		Tokens: tuoguan.TokenSet{AccessToken: tuoguan.NewSecret(strings.Repeat("t", 157)), RefreshToken: tuoguan.NewSecret("refresh"), ExpiresAt: expiry},
	}
	token := tuoguan.AccessToken{Value: grant.Tokens.AccessToken, ExpiresAt: expiry}

	w := newWorld(b, key)
	w.token = func(tuoguan.TokenOwner) (tuoguan.AccessToken, error) { return token, nil }
	if _, _, err := w.store.SaveGrant(b.Context(), grant); err != nil {
		b.Fatal(err)
	}
	if err := w.store.SaveTags(b.Context(), a, []string{"vip"}); err != nil {
		b.Fatal(err)
	}
	id, caller := w.newKey(access.Scope{Operations: []access.Operation{access.RefreshTokens}, Tags: []string{"vip"}})

	if _, _, err := db.SaveGrant(b.Context(), grant); err != nil {
		b.Fatal(err)
	}

	stored, err := w.store.APIKey(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	stored.Version = 0 // it is new there
	if _, err := db.PutAPIKey(b.Context(), stored); err != nil {
		b.Fatal(err)
	}

	type reply struct {
		AccessToken string    `json:"access_token"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	write := func(w http.ResponseWriter, value tuoguan.Secret, expires time.Time) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(reply{value.Reveal(), expires.UTC().Truncate(time.Second)})
	}
	sides := []*struct {
		name    string
		handler http.Handler
		server  *httptest.Server
		took    time.Duration
	}{
		{name: "ours", handler: w.handler},
		{name: "bare", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			write(w, token.Value, token.ExpiresAt)
		})},
		{name: "database", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			id, err := access.ParseKey(sent)
			if err != nil {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			k, err := db.APIKey(r.Context(), id)
			if sum := sha256.Sum256([]byte(sent)); err != nil || !bytes.Equal(k.Hash, sum[:]) {
				http.Error(w, "unauthorized", http.StatusUnauthorized)
				return
			}
			found, err := db.Authorizers(r.Context(), store.AuthorizerQuery{Authorizer: account})
			if err != nil || len(found) != 1 {
				http.Error(w, "unavailable", http.StatusServiceUnavailable)
				return
			}
			write(w, found[0].Tokens.AccessToken, found[0].Tokens.ExpiresAt)
		})},
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	turn := func(base string) time.Duration {
		began := time.Now()
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				for range perTurn / connections {
					r, err := http.NewRequestWithContext(b.Context(), "GET", base+"/v1/authorizers/"+string(account)+"/access-token", nil)
					if err != nil {
						b.Error(err)
						return
					}
					r.Header.Set("Authorization", "Bearer "+caller)
					response, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					body, err := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if err != nil || response.StatusCode != 200 || !bytes.Contains(body, []byte("tttt")) {
						b.Errorf("got %d %s %v", response.StatusCode, body, err)
						return
					}
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	for _, side := range sides {
		side.server = httptest.NewServer(side.handler)
		b.Cleanup(side.server.Close)
		turn(side.server.URL)
	}
	turns := 0
	for b.Loop() {
		for i := range sides { // each comes first as often as any other
			side := sides[(i+turns)%len(sides)]
			side.took += turn(side.server.URL)
		}
		turns++
	}
	perSecond := func(took time.Duration) float64 { return float64(turns*perTurn) / took.Seconds() }
	b.ReportMetric(0, "ns/op")
	for _, side := range sides {
		b.ReportMetric(perSecond(side.took), side.name+"/s")
	}
	b.ReportMetric(float64(sides[1].took)/float64(sides[0].took), "of-bare")
	b.ReportMetric(0.7, "of-bare-required")
	b.ReportMetric(float64(sides[2].took)/float64(sides[0].took), "x-database")
	b.ReportMetric(2.5, "x-database-required")
}
