// Package storetest judges implementations of [store.Store] by the contract. Every
// implementation passes every case; there is no way to leave one out.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// Open returns a new, empty store that goes by the clock. The suite closes it.
type Open func(t *testing.T, clock *tuoguan.Clock) store.Store

// Shared is what a store implements besides whose database several processes may
// have open at the same time. The suite then contends for it from both ends.
type Shared interface {
	// Another opens the store's database once more, as another process would, going by
	// the same clock. The suite closes it.
	Another(t *testing.T) store.Store
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	suites := map[string]func(*testing.T, *suite){
		"components":    testComponents,
		"tickets":       testTickets,
		"tokens":        testComponentTokens,
		"grants":        testGrants,
		"grant order":   testGrantOrder,
		"refreshes":     testRefreshes,
		"history":       testHistory,
		"troubles":      testTroubles,
		"profiles":      testProfiles,
		"lists":         testAuthorizerLists,
		"same again":    testSavedAgain,
		"used since":    testUsedSince,
		"due":           testDue,
		"exchanges":     testExchanges,
		"taken back":    testTakenBack,
		"links":         testLinks,
		"visits":        testVisits,
		"pushes":        testPushes,
		"push changes":  testPushChanges,
		"subscriptions": testSubscriptions,
		"events":        testEvents,
		"sequences":     testSequences,
		"due now":       testDueDeliveries,
		"outcomes":      testSaveDeliveries,
		"replays":       testPutDeliveries,
		"deliveries":    testDeliveryLists,
		"announcements": testAnnouncements,
		"retention":     testCollectDeliveries,
		"leases":        testLeases,
		"lease lists":   testLeaseLists,
		"settings":      testSettings,
		"tags":          testTags,
		"api keys":      testAPIKeys,
		"audit":         testAudits,
		"values":        testValues,
		"users":         testUsers,
		"sessions":      testSessions,
		"token events":  testTokenEvents,
		"changes":       testChanges,
		"contention":    testContention,
		"collect":       testCollect,
		"every method":  testEveryMethod,
		"record fields": testFixturesAreFull,
	}
	for name, f := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, &suite{open: open})
		})
	}
}

// suite opens stores for the cases of one suite.
type suite struct{ open Open }

// env is what a case works with: a store of its own and the clock it goes by.
type env struct {
	store.Store
	t     *testing.T
	ctx   context.Context
	clock *tuoguan.Clock
	other store.Store // the same database through another handle, if there can be one
}

// handle returns one of the handles by turns.
func (e *env) handle(n int) store.Store {
	if n%2 == 0 {
		return e.Store
	}
	return e.other
}

// run runs a case on an empty store.
func (s *suite) run(t *testing.T, name string, f func(*env)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		clock := new(tuoguan.Clock)
		e := &env{Store: s.open(t, clock), t: t, ctx: t.Context(), clock: clock}
		e.other = e.Store
		if shared, ok := e.Store.(Shared); ok {
			e.other = shared.Another(t)
		}
		t.Cleanup(func() {
			if err := errors.Join(e.other.Close(), e.Close()); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		f(e)
	})
}

// ok ends the case if a step that must work has failed.
func (e *env) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// is demands a certain error.
func (e *env) is(err, want error) {
	e.t.Helper()
	if !errors.Is(err, want) {
		e.t.Errorf("got error %v, want %v", err, want)
	}
}

// equal compares records. Instants must agree in their representation: in UTC,
// without a monotonic reading.
func (e *env) equal(got, want any) {
	e.t.Helper()
	sameInstant := cmp.Comparer(func(a, b time.Time) bool { return a == b })
	sameOwner := cmp.Comparer(func(a, b tuoguan.TokenOwner) bool { return a == b })
	if diff := cmp.Diff(want, got, sameInstant, sameOwner); diff != "" {
		e.t.Errorf("difference (-want +got):\n%s", diff)
	}
}

// must returns the first of two results.
func must[T any](e *env) func(T, error) T {
	return func(v T, err error) T {
		e.t.Helper()
		e.ok(err)
		return v
	}
}

// epoch is when the fixtures take place; instants are counted from it.
var epoch = time.Date(2026, 11, 21, 8, 30, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

func secret(format string, args ...any) tuoguan.Secret {
	return tuoguan.NewSecret(fmt.Sprintf(format, args...))
}

var (
	wxc = tuoguan.ComponentAppID("wxc0000000000000")
	id1 = tuoguan.Authorization{Component: wxc, Authorizer: "wxa0000000000001"}
	id2 = tuoguan.Authorization{Component: wxc, Authorizer: "wxa0000000000002"}
)

// Fixtures have no field that is zero: one that a store forgets would come back
// unnoticed. testFixturesAreFull sees to it.

func fullComponent() store.Component {
	return store.Component{
		AppID: wxc, Secret: secret("app secret"), Token: secret("push token"), EncodingAESKey: secret("aes key"),
		StagedSecret:  secret("next app secret"),
		PreviousToken: secret("old push token"), PreviousEncodingAESKey: secret("old aes key"),
		CreatedAt: at(1 * time.Millisecond), UpdatedAt: at(2 * time.Millisecond),
	}
}

func fullTicket(n int) store.Ticket {
	return store.Ticket{
		Component: wxc, Value: secret("ticket %d", n),
		CreatedAt: at(time.Duration(n) * time.Minute), ReceivedAt: at(time.Duration(n)*time.Minute + 7*time.Millisecond),
	}
}

func fullComponentToken() store.ComponentToken {
	return store.ComponentToken{
		Component: wxc, Value: secret("component token"), ObtainedAt: at(0), ExpiresAt: at(2 * time.Hour), Epoch: 3,
	}
}

func fullGrant() store.Grant {
	return store.Grant{
		Authorization: id1,
		Tokens: tuoguan.TokenSet{
			AccessToken: secret("access 1"), RefreshToken: secret("refresh 1"), ExpiresAt: at(2 * time.Hour),
		},
		AuthorizedAt: at(1 * time.Second), ObtainedAt: at(2 * time.Second), RefreshAt: at(1 * time.Hour),
		PermissionSets: []tuoguan.PermissionSet{1, 2, 17}, FuncInfo: `[{"funcscope_category":{"id":1}}]`,
		Reference: "tenant 7", Source: store.FromExchange, CodeHash: "codehash", Link: "link1",
	}
}

func fullTokenWrite() store.TokenWrite {
	return store.TokenWrite{
		Authorization: id1, Grant: 1, Epoch: 5,
		Tokens: tuoguan.TokenSet{
			AccessToken: secret("access 2"), RefreshToken: secret("refresh 2"), ExpiresAt: at(4 * time.Hour),
		},
		Used: secret("refresh 1"), Found: 4, ObtainedAt: at(2 * time.Hour), RefreshAt: at(3 * time.Hour), Source: store.FromRefresh,
		Release: store.Lease{Key: "never acquired", Holder: "nobody", Epoch: 5, Until: at(3 * time.Hour)},
	}
}

func fullTrouble() store.Trouble {
	return store.Trouble{
		Authorization: id1, Grant: 1, Epoch: 5, State: tuoguan.StateNeedsReauthorization,
		Info:      store.TroubleInfo{Failures: 3, Code: 61023, Message: "refresh_token is invalid", SuspectSince: at(5 * time.Minute)},
		RefreshAt: at(24 * time.Hour), At: at(6 * time.Minute),
	}
}

func fullProfile() store.Profile {
	return store.Profile{
		Grant: 1, Kind: tuoguan.KindMiniProgram, NickName: "托管 Café", UserName: "gh_0123456789ab", Alias: "alias",
		HeadImage: "http://wx.qlogo.cn/0", PrincipalName: "某公司", ServiceType: 2, VerifyType: -1, AccountStatus: 14,
		Raw: `{"nick_name":"托管 Café"}`, PermissionSets: []tuoguan.PermissionSet{3, 4}, FuncInfo: "[]", ReadAt: at(9 * time.Second),
	}
}

func fullExchange() store.Exchange {
	return store.Exchange{
		Component: wxc, CodeHash: "codehash", Code: secret("queryauthcode@@@1"), Authorizer: id1.Authorizer,
		PreAuthHash: "preauthhash", Visit: "noncehash", AuthorizedAt: at(1 * time.Second), ExpiresAt: at(time.Hour),
		RevokedAt: at(5 * time.Second), State: store.ExchangePending, Grant: 2, Attempts: 1, DueAt: at(3 * time.Second), Problem: "late",
		CreatedAt: at(2 * time.Second), FinishedAt: at(4 * time.Second),
	}
}

func fullLink() store.Link {
	return store.Link{
		ID: "link1", Component: wxc, AuthType: 3, BizAppID: id1.Authorizer, PermissionSets: []tuoguan.PermissionSet{17, 1},
		Reference: "tenant 7", ReturnURL: "https://example.com/done", CreatedAt: at(0), ExpiresAt: at(time.Hour),
		UsedAt: at(time.Minute), UsedBy: id2.Authorizer,
	}
}

func fullVisit() store.Visit {
	return store.Visit{NonceHash: "noncehash", PreAuthHash: "preauthhash", Link: "link1", Component: wxc, CreatedAt: at(time.Minute)}
}

func fullPush() store.Push {
	return store.Push{
		ID: 1, Seq: 1, Key: "key 1", Component: wxc, Authorizer: id1.Authorizer, Kind: "text", Body: []byte("<xml>body</xml>"),
		Reply: []byte("<xml>reply</xml>"), CreatedAt: at(0), ReceivedAt: at(123 * time.Millisecond),
	}
}

func fullAPIKey() store.APIKey {
	return store.APIKey{
		ID: "k1", Name: "订单 service", Hash: []byte{0, 1, 255}, PreviousHash: []byte("\xff\x00previous"), PreviousUntil: at(time.Hour),
		Scope: `{"operations":["*"]}`, CreatedAt: at(0), UpdatedAt: at(time.Millisecond), ExpiresAt: at(24 * time.Hour),
		RevokedAt: at(2 * time.Hour), LastUsedAt: at(time.Minute), Version: 1,
	}
}

func fullAuditRecord() store.AuditRecord {
	return store.AuditRecord{Seq: 1, At: at(123 * time.Millisecond), Body: []byte(`{"actor":"k1"}`), Hash: []byte{0, 1, 255}}
}

func testFixturesAreFull(t *testing.T, _ *suite) {
	for _, record := range []any{
		fullComponent(), fullTicket(1), fullComponentToken(), fullGrant(), fullTokenWrite(), fullTrouble(),
		fullProfile(), fullExchange(), fullLink(), fullVisit(), fullPush(),
		fullAPIKey(), fullAuditRecord(), fullSubscription(), fullUser(), fullSession(), fullTokenEvent(),
	} {
		for _, field := range zeroFields(reflect.ValueOf(record), reflect.TypeOf(record).Name()) {
			if strings.HasSuffix(field, ".Announce") {
				continue // has cases of its own
			}
			t.Errorf("%s is zero in its fixture", field)
		}
	}
}

// zeroFields names the fields that are zero.
func zeroFields(v reflect.Value, name string) []string {
	if v.IsZero() {
		return []string{name}
	}
	switch v.Interface().(type) {
	case time.Time, tuoguan.Secret:
		return nil
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var zero []string
	for i := range v.NumField() {
		zero = append(zero, zeroFields(v.Field(i), name+"."+v.Type().Field(i).Name)...)
	}
	return zero
}

// full reports fields of a record read back that are zero, except those named.
func (e *env) full(record any, except ...string) {
	e.t.Helper()
	for _, field := range zeroFields(reflect.ValueOf(record), reflect.TypeOf(record).Name()) {
		if !strings.Contains(" "+strings.Join(except, " ")+" ", " "+field+" ") {
			e.t.Errorf("%s came back zero", field)
		}
	}
}
