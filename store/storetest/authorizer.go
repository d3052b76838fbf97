package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/store"
)

// grant saves a grant and says what became of it.
func (e *env) grant(g store.Grant) (store.Authorizer, bool) {
	e.t.Helper()
	a, moved, err := e.SaveGrant(e.ctx, g)
	e.ok(err)
	return a, moved
}

func (e *env) authorizer(id tuoguan.Authorization) store.Authorizer {
	e.t.Helper()
	return must[store.Authorizer](e)(e.Authorizer(e.ctx, id))
}

// stamped checks the instants that the store sets itself, and clears them.
func (e *env) stamped(a store.Authorizer) store.Authorizer {
	e.t.Helper()
	now := e.clock.Now()
	for name, stamp := range map[string]time.Time{"CreatedAt": a.CreatedAt, "UpdatedAt": a.UpdatedAt} {
		if stamp.After(now) || stamp.Before(now.Add(-10*time.Minute)) || stamp.Location() != time.UTC {
			e.t.Errorf("%s is %v, now is %v", name, stamp, now)
		}
	}
	a.CreatedAt, a.UpdatedAt = time.Time{}, time.Time{}
	return a
}

// granted is what fullGrant makes of an empty store.
func granted() store.Authorizer {
	g := fullGrant()
	return store.Authorizer{
		Authorization: id1, State: tuoguan.StateActive, Grant: 1, AuthorizedAt: g.AuthorizedAt, Reference: g.Reference,
		PermissionSets: g.PermissionSets, FuncInfo: g.FuncInfo, Tokens: g.Tokens, ObtainedAt: g.ObtainedAt, RefreshAt: g.RefreshAt,
	}
}

// later is a grant to the same account by another authorization.
func later(d time.Duration, name string) store.Grant {
	g := fullGrant()
	g.AuthorizedAt, g.ObtainedAt = g.AuthorizedAt.Add(d), g.ObtainedAt.Add(d)
	g.Tokens.AccessToken, g.Tokens.RefreshToken = secret("access %s", name), secret("refresh %s", name)
	g.CodeHash, g.Link = "codehash "+name, ""
	return g
}

func testGrants(t *testing.T, s *suite) {
	s.run(t, "first", func(e *env) {
		a, moved := e.grant(fullGrant())
		if !moved {
			e.t.Error("moved is false")
		}
		e.equal(e.authorizer(id1), a)
		e.equal(e.stamped(a), granted())
	})
	s.run(t, "every field comes back", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		e.ok(e.SaveProfile(e.ctx, id1, fullProfile()))
		e.trouble(fullTrouble())
		e.ok(e.SaveTags(e.ctx, id1, []string{"north", "vip"}))
		want := granted()
		want.Tags = []string{"north", "vip"}
		want.Tokens, want.ObtainedAt, want.Epoch = fullTokenWrite().Tokens, fullTokenWrite().ObtainedAt, 5
		want.PermissionSets, want.FuncInfo = fullProfile().PermissionSets, fullProfile().FuncInfo
		want.Profile, want.ProfileGrant = fullProfile(), 1
		want.Profile.PermissionSets, want.Profile.FuncInfo = nil, ""
		want.State, want.Trouble, want.RefreshAt = fullTrouble().State, fullTrouble().Info, fullTrouble().RefreshAt
		got := e.authorizer(id1)
		e.full(got, "Authorizer.RevokedAt", "Authorizer.Profile.PermissionSets", "Authorizer.Profile.FuncInfo")
		e.equal(e.stamped(got), want)
	})
	s.run(t, "another one replaces the token set and forgets troubles", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		e.ok(e.SaveProfile(e.ctx, id1, fullProfile()))
		e.trouble(fullTrouble())
		must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour)))
		next := later(2*time.Hour, "2")
		next.PermissionSets, next.FuncInfo, next.Reference = nil, "", ""
		a, moved := e.grant(next)
		if !moved {
			e.t.Error("moved is false")
		}
		want := granted()
		want.Grant, want.AuthorizedAt, want.Tokens = 2, next.AuthorizedAt, next.Tokens
		want.ObtainedAt, want.RefreshAt = next.ObtainedAt, next.RefreshAt
		want.PermissionSets, want.FuncInfo = nil, "" // Reference stays: the tenant is the same
		want.Profile, want.ProfileGrant = fullProfile(), 1
		want.Profile.PermissionSets, want.Profile.FuncInfo = nil, ""
		e.equal(e.stamped(a), want)
	})
	s.run(t, "accounts and components do not mix", func(e *env) {
		other := fullGrant()
		other.Authorization = tuoguan.Authorization{Component: "wxother", Authorizer: id1.Authorizer}
		other.Tokens.AccessToken = secret("access of the other component")
		e.grant(fullGrant())
		e.grant(other)
		e.equal(e.authorizer(id1).Tokens, fullGrant().Tokens)
		e.equal(e.authorizer(other.Authorization).Tokens, other.Tokens)
	})
	s.run(t, "permission sets come back ascending, each once", func(e *env) {
		g := fullGrant()
		g.PermissionSets = []tuoguan.PermissionSet{17, 1, 2, 17}
		e.grant(g)
		e.equal(e.authorizer(id1).PermissionSets, []tuoguan.PermissionSet{1, 2, 17})
	})
	s.run(t, "an empty refresh token leaves the stored one", func(e *env) {
		e.grant(fullGrant())
		next := later(time.Hour, "2")
		next.Tokens.RefreshToken = tuoguan.Secret{}
		a, _ := e.grant(next)
		e.equal(a.Tokens.RefreshToken, fullGrant().Tokens.RefreshToken)
		e.equal(a.Tokens.AccessToken, next.Tokens.AccessToken)
		e.equal(e.authorizer(id1), a)
		w := fullTokenWrite() // and it survives a refresh that brings none either
		w.Grant, w.Tokens.RefreshToken, w.Used = 2, tuoguan.Secret{}, tuoguan.Secret{}
		must[bool](e)(e.SaveTokens(e.ctx, w))
		e.equal(e.authorizer(id1).Tokens.RefreshToken, fullGrant().Tokens.RefreshToken)
	})
	s.run(t, "unknown time of authorization", func(e *env) {
		g := fullGrant()
		g.AuthorizedAt, g.ObtainedAt = time.Time{}, g.ObtainedAt.Truncate(time.Second).Add(700*time.Millisecond)
		a, _ := e.grant(g)
		e.equal(a.AuthorizedAt, g.ObtainedAt.Truncate(time.Second))

		early := later(-time.Hour, "2")
		early.AuthorizedAt = time.Time{}
		a, moved := e.grant(early)
		if !moved {
			e.t.Error("not known to be older, but refused")
		}
		e.equal(a.AuthorizedAt, g.ObtainedAt.Truncate(time.Second)) // never goes back

		must[bool](e)(e.Revoke(e.ctx, id1, at(3*time.Hour)))
		a, _ = e.grant(early)
		e.equal(a.AuthorizedAt, at(3*time.Hour))
		e.equal(a.State, tuoguan.StateActive)
	})
	s.run(t, "an exchange that is done leads to no other grant", func(e *env) {
		x := fullExchange()
		if _, _, err := e.PutExchange(e.ctx, x); err != nil {
			e.t.Fatal(err)
		}
		g := fullGrant()
		g.CodeHash = x.CodeHash
		if _, moved := e.grant(g); !moved {
			e.t.Fatal("the first grant was refused")
		}
		late := later(time.Hour, "late")
		late.CodeHash = x.CodeHash
		a, moved := e.grant(late)
		if moved || a.Grant != 1 || !a.Tokens.RefreshToken.Equal(g.Tokens.RefreshToken) {
			e.t.Errorf("moved is %v, grant %d", moved, a.Grant)
		}
		e.equal(len(e.history(id1)), 2)
	})
	s.run(t, "finishes the exchange and uses up the link", func(e *env) {
		x := fullExchange()
		x.Authorizer, x.Grant, x.FinishedAt, x.RevokedAt = "", 0, time.Time{}, time.Time{}
		e.put(x)
		l := fullLink()
		l.UsedAt, l.UsedBy = time.Time{}, ""
		e.ok(e.CreateLink(e.ctx, l))
		e.grant(fullGrant())
		x.State, x.Code, x.Problem = store.ExchangeDone, tuoguan.Secret{}, ""
		x.Authorizer, x.Grant, x.FinishedAt = id1.Authorizer, 1, fullGrant().ObtainedAt
		e.equal(must[store.Exchange](e)(e.Exchange(e.ctx, wxc, "codehash")), x)
		l.UsedAt, l.UsedBy = fullGrant().ObtainedAt, id1.Authorizer
		e.equal(must[store.Link](e)(e.Link(e.ctx, l.ID)), l)

		other := fullGrant()
		other.Authorization, other.ObtainedAt = id2, at(time.Hour)
		e.grant(other)
		e.equal(must[store.Link](e)(e.Link(e.ctx, l.ID)), l) // used once is used
	})
	s.run(t, "takes the time of authorization from the exchange", func(e *env) {
		e.put(fullExchange())
		g := fullGrant()
		g.AuthorizedAt = time.Time{}
		a, _ := e.grant(g)
		e.equal(a.AuthorizedAt, fullExchange().AuthorizedAt)
	})
	s.run(t, "one that is older changes history and exchange only", func(e *env) {
		e.grant(later(time.Hour, "new"))
		x := fullExchange()
		x.CodeHash = "codehash old"
		e.put(x)
		l := fullLink()
		l.UsedAt, l.UsedBy = time.Time{}, ""
		e.ok(e.CreateLink(e.ctx, l))
		before := e.authorizer(id1)
		old := later(0, "old")
		old.Link = l.ID
		a, moved := e.grant(old)
		if moved {
			e.t.Error("an older grant replaced a newer one")
		}
		e.equal(a, before)
		e.equal(e.authorizer(id1), before)
		e.equal(must[store.Exchange](e)(e.Exchange(e.ctx, wxc, "codehash old")).State, store.ExchangeDone)
		e.equal(must[store.Link](e)(e.Link(e.ctx, l.ID)), l)
		e.equal(e.history(id1), []string{"refresh old", "refresh new"})
	})
	s.run(t, "instants are kept in UTC to the millisecond", func(e *env) {
		zone := time.FixedZone("UTC+8", 8*3600)
		fine := func(t time.Time) time.Time { return t.Add(999_999).In(zone) }
		g := fullGrant()
		g.AuthorizedAt, g.ObtainedAt, g.RefreshAt = fine(g.AuthorizedAt), fine(g.ObtainedAt), fine(g.RefreshAt)
		g.Tokens.ExpiresAt = fine(g.Tokens.ExpiresAt)
		a, _ := e.grant(g)
		e.equal(e.stamped(a), granted())
		e.equal(e.stamped(e.authorizer(id1)), granted())
	})
}

// history returns the values of the history, newest first.
func (e *env) history(id tuoguan.Authorization) []string {
	e.t.Helper()
	var values []string
	for _, t := range must[[]store.RefreshToken](e)(e.RefreshTokens(e.ctx, id)) {
		values = append(values, t.Value.Reveal())
	}
	return values
}

// testGrantOrder has grants, revocations, refreshes and troubles arrive in every
// order. What counts in the end is when they happened at WeChat's.
func testGrantOrder(t *testing.T, s *suite) {
	grant := func(e *env, id tuoguan.Authorization, g store.Grant) {
		g.Authorization = id
		e.grant(g)
	}
	steps := map[string]func(*env, tuoguan.Authorization){
		"G1": func(e *env, id tuoguan.Authorization) { grant(e, id, later(1*time.Hour, "G1")) },
		"G2": func(e *env, id tuoguan.Authorization) { grant(e, id, later(3*time.Hour, "G2")) },
		"R2": func(e *env, id tuoguan.Authorization) { must[bool](e)(e.Revoke(e.ctx, id, at(2*time.Hour))) },
		"R4": func(e *env, id tuoguan.Authorization) { must[bool](e)(e.Revoke(e.ctx, id, at(4*time.Hour))) },
		// Work that began under the first grant.
		"T": func(e *env, id tuoguan.Authorization) {
			w := fullTokenWrite()
			w.Authorization = id
			must[bool](e)(e.SaveTokens(e.ctx, w))
		},
		"X": func(e *env, id tuoguan.Authorization) {
			trouble := fullTrouble()
			trouble.Authorization, trouble.Epoch = id, 0
			must[bool](e)(e.SaveTrouble(e.ctx, trouble))
		},
	}
	for _, tt := range []struct {
		name  string
		steps []string
		check func(store.Authorizer) bool
	}{
		{"the newest grant wins", []string{"G1", "R2", "G2", "T", "X"}, func(a store.Authorizer) bool {
			return a.State == tuoguan.StateActive && a.Tokens.RefreshToken.Reveal() == "refresh G2" &&
				a.Trouble == store.TroubleInfo{} && a.RevokedAt.IsZero() && !a.RefreshAt.IsZero()
		}},
		{"the newest revocation wins", []string{"G1", "G2", "R4", "T", "X"}, func(a store.Authorizer) bool {
			return a.State == tuoguan.StateRevoked && a.RevokedAt.Equal(at(4*time.Hour)) && a.RefreshAt.IsZero()
		}},
	} {
		s.run(t, tt.name, func(e *env) {
			for order := range permutations(tt.steps) {
				name := strings.Join(order, " ")
				id := tuoguan.Authorization{Component: wxc, Authorizer: tuoguan.AuthorizerAppID("wx " + name)}
				grant(e, id, fullGrant())
				for _, step := range order {
					steps[step](e, id)
				}
				if a := e.authorizer(id); !tt.check(a) {
					e.t.Errorf("%s: state %s, refresh token %q, revoked at %v, due at %v, trouble %+v",
						name, a.State, a.Tokens.RefreshToken.Reveal(), a.RevokedAt, a.RefreshAt, a.Trouble)
				}
				history := e.history(id)
				slices.Sort(history)
				if want := []string{"refresh 1", "refresh 2", "refresh G1", "refresh G2"}; !slices.Equal(history, want) {
					e.t.Errorf("%s: history %q, want %q", name, history, want)
				}
			}
		})
	}
}

func permutations(items []string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		var walk func(done, left []string) bool
		walk = func(done, left []string) bool {
			if len(left) == 0 {
				return yield(done)
			}
			for i := range left {
				rest := slices.Delete(slices.Clone(left), i, i+1)
				if !walk(append(slices.Clone(done), left[i]), rest) {
					return false
				}
			}
			return true
		}
		walk(nil, items)
	}
}

func testRefreshes(t *testing.T, s *suite) {
	tests := []struct {
		name    string
		prepare func(*env)
		write   func(*store.TokenWrite)
		moved   bool
		refresh string   // current afterwards
		history []string // newest first
	}{
		{
			name: "moves the token set", moved: true, refresh: "refresh 2",
			history: []string{"refresh 2", "refresh 1"},
		}, {
			name: "a refresh token that stays the same", moved: true, refresh: "refresh 1",
			write:   func(w *store.TokenWrite) { w.Tokens.RefreshToken = secret("refresh 1") },
			history: []string{"refresh 1"},
		}, {
			name: "without a refresh token the one that was sent stays", moved: true, refresh: "refresh 1",
			write:   func(w *store.TokenWrite) { w.Tokens.RefreshToken = tuoguan.Secret{} },
			history: []string{"refresh 1"},
		}, {
			name: "a candidate that worked becomes current", moved: true, refresh: "candidate",
			write: func(w *store.TokenWrite) {
				w.Tokens.RefreshToken, w.Used, w.Found = tuoguan.Secret{}, secret("candidate"), 0
			},
			history: []string{"candidate", "refresh 1"},
		}, {
			name: "a candidate does not replace what was saved since", moved: true, refresh: "refresh since",
			prepare: func(e *env) {
				w := fullTokenWrite()
				w.Tokens.RefreshToken, w.Epoch = secret("refresh since"), 4
				must[bool](e)(e.SaveTokens(e.ctx, w))
			},
			write: func(w *store.TokenWrite) {
				w.Tokens.RefreshToken, w.Used, w.Found = tuoguan.Secret{}, secret("candidate"), 3
			},
			history: []string{"candidate", "refresh since", "refresh 1"},
		}, {
			name: "a candidate replaces what was found", moved: true, refresh: "candidate",
			prepare: func(e *env) {
				w := fullTokenWrite()
				w.Tokens.RefreshToken, w.Epoch = secret("refresh found"), 4
				must[bool](e)(e.SaveTokens(e.ctx, w))
			},
			write: func(w *store.TokenWrite) {
				w.Tokens.RefreshToken, w.Used, w.Found = tuoguan.Secret{}, secret("candidate"), 4
			},
			history: []string{"candidate", "refresh found", "refresh 1"},
		}, {
			name: "an empty one never replaces", moved: true, refresh: "refresh 1",
			write: func(w *store.TokenWrite) {
				w.Tokens.RefreshToken, w.Used = tuoguan.Secret{}, tuoguan.Secret{}
			},
			history: []string{"refresh 1"},
		}, {
			name: "an equal epoch joins the history only", moved: false, refresh: "refresh first",
			prepare: func(e *env) {
				w := fullTokenWrite()
				w.Tokens.RefreshToken, w.ObtainedAt = secret("refresh first"), at(time.Hour)
				must[bool](e)(e.SaveTokens(e.ctx, w))
			},
			history: []string{"refresh 2", "refresh first", "refresh 1"},
		}, {
			name: "an earlier epoch joins the history only", moved: false, refresh: "refresh first",
			prepare: func(e *env) {
				w := fullTokenWrite()
				w.Tokens.RefreshToken, w.Epoch = secret("refresh first"), 6
				must[bool](e)(e.SaveTokens(e.ctx, w))
			},
			history: []string{"refresh 2", "refresh first", "refresh 1"},
		}, {
			name: "an earlier grant joins the history only", moved: false, refresh: "refresh G2",
			prepare: func(e *env) { e.grant(later(time.Hour, "G2")) },
			history: []string{"refresh 2", "refresh G2", "refresh 1"},
		}, {
			name: "a revoked one stays revoked", moved: false, refresh: "refresh 1",
			prepare: func(e *env) { must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour))) },
			history: []string{"refresh 2", "refresh 1"},
		}, {
			name: "one that was given up comes back", moved: true, refresh: "refresh 2",
			prepare: func(e *env) { e.trouble(fullTrouble()) },
			history: []string{"refresh 2", "refresh 1"},
		},
	}
	for _, tt := range tests {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			if tt.prepare != nil {
				tt.prepare(e)
			}
			before := e.authorizer(id1)
			w := fullTokenWrite()
			if tt.write != nil {
				tt.write(&w)
			}
			if moved := must[bool](e)(e.SaveTokens(e.ctx, w)); moved != tt.moved {
				e.t.Errorf("moved is %v", moved)
			}
			after := e.authorizer(id1)
			if !tt.moved {
				e.equal(after, before)
			} else {
				want := before
				want.State, want.Trouble = tuoguan.StateActive, store.TroubleInfo{}
				want.Tokens, want.ObtainedAt, want.RefreshAt, want.Epoch = w.Tokens, w.ObtainedAt, w.RefreshAt, w.Epoch
				want.Tokens.RefreshToken = tuoguan.NewSecret(tt.refresh)
				e.equal(e.stamped(after), e.stamped(want))
			}
			e.equal(after.Tokens.RefreshToken, tuoguan.NewSecret(tt.refresh))
			e.equal(e.history(id1), tt.history)
		})
	}
}

func testHistory(t *testing.T, s *suite) {
	entry := func(grant int64, value string) store.RefreshToken {
		return store.RefreshToken{Authorization: id1, Grant: grant, Value: secret("%s", value), Source: store.FromList, ReceivedAt: at(time.Minute)}
	}
	s.run(t, "every field comes back", func(e *env) {
		want := entry(7, "found")
		if added := must[bool](e)(e.AppendRefreshToken(e.ctx, want)); !added {
			e.t.Error("added is false")
		}
		got := must[[]store.RefreshToken](e)(e.RefreshTokens(e.ctx, id1))
		e.equal(got, []store.RefreshToken{want})
		e.full(got[0])
	})
	s.run(t, "joins once", func(e *env) {
		must[bool](e)(e.AppendRefreshToken(e.ctx, entry(2, "a")))
		must[bool](e)(e.AppendRefreshToken(e.ctx, entry(2, "b")))
		for _, grant := range []int64{1, 2} {
			if added := must[bool](e)(e.AppendRefreshToken(e.ctx, entry(grant, "a"))); added {
				e.t.Errorf("joined again under grant %d", grant)
			}
		}
		e.equal(e.history(id1), []string{"b", "a"})
	})
	s.run(t, "moves to a later grant", func(e *env) {
		must[bool](e)(e.AppendRefreshToken(e.ctx, entry(1, "a")))
		must[bool](e)(e.AppendRefreshToken(e.ctx, entry(1, "b")))
		if added := must[bool](e)(e.AppendRefreshToken(e.ctx, entry(2, "a"))); added {
			e.t.Error("added is true for a value that was there")
		}
		e.equal(must[[]store.RefreshToken](e)(e.RefreshTokens(e.ctx, id1)), []store.RefreshToken{entry(2, "a"), entry(1, "b")})
	})
	s.run(t, "an empty token is none", func(e *env) {
		if added := must[bool](e)(e.AppendRefreshToken(e.ctx, entry(1, ""))); added {
			e.t.Error("added is true")
		}
		e.equal(e.history(id1), []string(nil))
	})
	s.run(t, "accounts have their own", func(e *env) {
		other := entry(1, "a")
		other.Authorization = id2
		must[bool](e)(e.AppendRefreshToken(e.ctx, entry(1, "a")))
		if added := must[bool](e)(e.AppendRefreshToken(e.ctx, other)); !added {
			e.t.Error("the same value of another account was taken for a duplicate")
		}
	})
}

// trouble saves a trouble with the stored token set.
func (e *env) trouble(trouble store.Trouble) (changed bool) {
	e.t.Helper()
	trouble.Epoch = e.authorizer(trouble.Authorization).Epoch
	return must[bool](e)(e.SaveTrouble(e.ctx, trouble))
}

func testTroubles(t *testing.T, s *suite) {
	s.run(t, "is recorded", func(e *env) {
		e.grant(fullGrant())
		if changed := e.trouble(fullTrouble()); !changed {
			e.t.Error("changed is false")
		}
		want := granted()
		want.State, want.Trouble, want.RefreshAt = fullTrouble().State, fullTrouble().Info, fullTrouble().RefreshAt
		e.equal(e.stamped(e.authorizer(id1)), want)
	})
	s.run(t, "of another grant is not", func(e *env) {
		e.grant(fullGrant())
		e.grant(later(time.Hour, "2"))
		before := e.authorizer(id1)
		if changed := e.trouble(fullTrouble()); changed {
			e.t.Error("changed is true")
		}
		e.equal(e.authorizer(id1), before)
	})
	s.run(t, "of another token set is not", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.SaveTokens(e.ctx, fullTokenWrite()))
		before := e.authorizer(id1)
		for _, epoch := range []int64{0, before.Epoch - 1, before.Epoch + 1} {
			trouble := fullTrouble()
			trouble.Epoch = epoch
			if changed := must[bool](e)(e.SaveTrouble(e.ctx, trouble)); changed {
				e.t.Errorf("changed is true for epoch %d", epoch)
			}
		}
		e.equal(e.authorizer(id1), before)
	})
	s.run(t, "leaves a revoked one as it is", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour)))
		before := e.authorizer(id1)
		if changed := e.trouble(fullTrouble()); changed {
			e.t.Error("changed is true")
		}
		e.equal(e.authorizer(id1), before)
	})
	s.run(t, "may be a revocation", func(e *env) {
		e.grant(fullGrant())
		trouble := fullTrouble()
		trouble.State = tuoguan.StateRevoked
		e.trouble(trouble)
		want := granted()
		want.State, want.Trouble = tuoguan.StateRevoked, trouble.Info
		want.RevokedAt, want.RefreshAt = trouble.At, time.Time{}
		e.equal(e.stamped(e.authorizer(id1)), want)
	})
	for _, tt := range []struct {
		name    string
		at      time.Time
		changed bool
	}{
		{"revocation after the grant", fullGrant().AuthorizedAt.Add(time.Second), true},
		{"revocation in the second of the grant", fullGrant().AuthorizedAt, true},
		{"revocation before the grant", fullGrant().AuthorizedAt.Add(-time.Second), false},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			if changed := must[bool](e)(e.Revoke(e.ctx, id1, tt.at)); changed != tt.changed {
				e.t.Errorf("changed is %v", changed)
			}
			want := granted()
			if tt.changed {
				want.State, want.RevokedAt, want.RefreshAt = tuoguan.StateRevoked, tt.at, time.Time{}
			}
			e.equal(e.stamped(e.authorizer(id1)), want)
		})
	}
	s.run(t, "revoked twice", func(e *env) {
		e.grant(fullGrant())
		must[bool](e)(e.Revoke(e.ctx, id1, at(time.Hour)))
		for _, d := range []time.Duration{2 * time.Hour, time.Minute} {
			if changed := must[bool](e)(e.Revoke(e.ctx, id1, at(d))); changed {
				e.t.Error("changed is true")
			}
			e.equal(e.authorizer(id1).RevokedAt, at(2*time.Hour))
		}
	})
}

func testProfiles(t *testing.T, s *suite) {
	s.run(t, "is replaced", func(e *env) {
		e.grant(fullGrant())
		old := fullProfile()
		old.NickName, old.Raw = "old", "{}"
		e.ok(e.SaveProfile(e.ctx, id1, old))
		e.ok(e.SaveProfile(e.ctx, id1, fullProfile()))
		want := granted()
		want.PermissionSets, want.FuncInfo = fullProfile().PermissionSets, fullProfile().FuncInfo
		want.Profile, want.ProfileGrant = fullProfile(), 1
		want.Profile.PermissionSets, want.Profile.FuncInfo = nil, ""
		e.equal(e.stamped(e.authorizer(id1)), want)
	})
	for _, tt := range []struct {
		name string
		sets []tuoguan.PermissionSet
		want []tuoguan.PermissionSet
	}{
		{"permission sets that are nil stay", nil, fullGrant().PermissionSets},
		{"permission sets that are empty go", []tuoguan.PermissionSet{}, nil},
	} {
		s.run(t, tt.name, func(e *env) {
			e.grant(fullGrant())
			p := fullProfile()
			p.PermissionSets = tt.sets
			e.ok(e.SaveProfile(e.ctx, id1, p))
			got := e.authorizer(id1)
			e.equal(got.PermissionSets, tt.want)
			if stays := got.FuncInfo == fullGrant().FuncInfo; stays != (tt.sets == nil) {
				e.t.Errorf("FuncInfo is %q", got.FuncInfo)
			}
		})
	}
	s.run(t, "of an earlier grant brings no permission sets", func(e *env) {
		e.grant(fullGrant())
		e.grant(later(time.Hour, "2"))
		e.ok(e.SaveProfile(e.ctx, id1, fullProfile()))
		got := e.authorizer(id1)
		e.equal(got.PermissionSets, fullGrant().PermissionSets)
		e.equal(got.Profile.NickName, fullProfile().NickName)
		e.equal(got.ProfileGrant, int64(1))
	})
	s.run(t, "of an earlier grant does not replace a later one", func(e *env) {
		e.grant(fullGrant())
		e.grant(later(time.Hour, "2"))
		p := fullProfile()
		p.Grant, p.NickName = 2, "new"
		e.ok(e.SaveProfile(e.ctx, id1, p))
		e.ok(e.SaveProfile(e.ctx, id1, fullProfile()))
		e.equal(e.authorizer(id1).Profile.NickName, "new")
	})
}

func testAuthorizerLists(t *testing.T, s *suite) {
	// a0 … a9 of two components, with different states, kinds and names.
	fill := func(e *env) (all []tuoguan.Authorization) {
		for _, n := range []int{7, 0, 9, 3, 1, 8, 2, 6, 4, 5} {
			g := fullGrant()
			g.Component = tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", n/5))
			g.Authorization.Authorizer = tuoguan.AuthorizerAppID(fmt.Sprintf("wxA%d", n))
			g.Link, g.CodeHash = "", ""
			g.PermissionSets = []tuoguan.PermissionSet{tuoguan.PermissionSet(n + 1), 11, 111}
			e.grant(g)
			p := fullProfile()
			p.PermissionSets = nil
			p.NickName, p.UserName = fmt.Sprintf("小程序 Éclair %d", n), fmt.Sprintf("gh_Ab%d", n)
			if n%2 == 0 {
				p.Kind = tuoguan.KindOfficialAccount
			}
			e.ok(e.SaveProfile(e.ctx, g.Authorization, p))
			if n == 3 {
				must[bool](e)(e.Revoke(e.ctx, g.Authorization, at(time.Hour)))
			}
		}
		for n := range 10 {
			all = append(all, tuoguan.Authorization{
				Component:  tuoguan.ComponentAppID(fmt.Sprintf("wxc%d", n/5)),
				Authorizer: tuoguan.AuthorizerAppID(fmt.Sprintf("wxA%d", n)),
			})
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		query store.AuthorizerQuery
		want  []int
	}{
		{"all", store.AuthorizerQuery{}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"component", store.AuthorizerQuery{Component: "wxc1"}, []int{5, 6, 7, 8, 9}},
		{"authorizer", store.AuthorizerQuery{Authorizer: "wxA4"}, []int{4}},
		{"state", store.AuthorizerQuery{State: tuoguan.StateRevoked}, []int{3}},
		{"kind", store.AuthorizerQuery{Kind: tuoguan.KindOfficialAccount}, []int{0, 2, 4, 6, 8}},
		{"permission set", store.AuthorizerQuery{PermissionSet: 1}, []int{0}},
		{"permission set of all", store.AuthorizerQuery{PermissionSet: 111, Component: "wxc0"}, []int{0, 1, 2, 3, 4}},
		{"AppID in other case", store.AuthorizerQuery{Text: "WXa4"}, []int{4}},
		{"original id in other case", store.AuthorizerQuery{Text: "GH_aB7"}, []int{7}},
		{"part of a Chinese name", store.AuthorizerQuery{Text: "程序"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"part of a name in other case", store.AuthorizerQuery{Text: "éCLAIR 8"}, []int{8}},
		{"no wildcards", store.AuthorizerQuery{Text: "%"}, nil},
		{"a part of an AppID is not enough", store.AuthorizerQuery{Text: "xA4"}, nil},
		{"several at once", store.AuthorizerQuery{Component: "wxc0", Kind: tuoguan.KindMiniProgram, State: tuoguan.StateActive}, []int{1}},
		{"nothing", store.AuthorizerQuery{Component: "wxother"}, nil},
		{"limit", store.AuthorizerQuery{Limit: 2}, []int{0, 1}},
		{"after", store.AuthorizerQuery{After: tuoguan.Authorization{Component: "wxc0", Authorizer: "wxA3"}, Limit: 3}, []int{4, 5, 6}},
		{"after what is not there", store.AuthorizerQuery{After: tuoguan.Authorization{Component: "wxc0", Authorizer: "wxA3x"}, Limit: 1}, []int{4}},
		{"after, filtered", store.AuthorizerQuery{After: tuoguan.Authorization{Component: "wxc0", Authorizer: "wxA1"}, Kind: tuoguan.KindOfficialAccount, Limit: 2}, []int{2, 4}},
	} {
		s.run(t, tt.name, func(e *env) {
			all := fill(e)
			var want, got []tuoguan.Authorization
			for _, n := range tt.want {
				want = append(want, all[n])
			}
			for _, a := range must[[]store.Authorizer](e)(e.Authorizers(e.ctx, tt.query)) {
				got = append(got, a.Authorization)
				e.equal(a, e.authorizer(a.Authorization))
			}
			e.equal(got, want)
		})
	}
	s.run(t, "pages", func(e *env) {
		all := fill(e)
		var got []tuoguan.Authorization
		q := store.AuthorizerQuery{Limit: 3}
		for {
			page := must[[]store.Authorizer](e)(e.Authorizers(e.ctx, q))
			for _, a := range page {
				got = append(got, a.Authorization)
			}
			if len(page) < q.Limit {
				break
			}
			q.After = page[len(page)-1].Authorization
		}
		e.equal(got, all)
	})
	s.run(t, "counts", func(e *env) {
		fill(e)
		e.equal(must[[]store.AuthorizerCount](e)(e.CountAuthorizers(e.ctx)), []store.AuthorizerCount{
			{Component: "wxc0", State: tuoguan.StateActive, Count: 4},
			{Component: "wxc0", State: tuoguan.StateRevoked, Count: 1},
			{Component: "wxc1", State: tuoguan.StateActive, Count: 5},
		})
	})
	s.run(t, "limit defaults", func(e *env) {
		for n := range store.DefaultLimit + 1 {
			g := fullGrant()
			g.Authorization.Authorizer = tuoguan.AuthorizerAppID(fmt.Sprintf("wxa%04d", n))
			e.grant(g)
		}
		if n := len(must[[]store.Authorizer](e)(e.Authorizers(e.ctx, store.AuthorizerQuery{}))); n != store.DefaultLimit {
			e.t.Errorf("%d authorizers", n)
		}
		if n := len(e.claimDue("me", at(24*time.Hour), 0)); n != store.DefaultLimit {
			e.t.Errorf("%d due", n)
		}
	})
}
