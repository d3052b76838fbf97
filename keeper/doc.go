// Package keeper keeps the authorizations that merchants gave to a component: it
// turns tickets into component tokens, codes into grants, and keeps every
// authorizer's token fresh without ever losing a refresh token.
//
// # What is authoritative
//
// The [store.Store] is. What is in memory may be lost at any moment; it exists so
// that a token that is valid is handed out without asking anybody. Background
// refreshing only makes things fast: with Run stopped, every token is still
// obtained when it is asked for.
//
// # How a token is refreshed
//
//  1. A reader gets the token from memory while it has more than ten seconds to
//     live. Else it joins the one flight under way for that owner.
//  2. The flight claims the lease on the owner, which is a durable write: a store
//     that cannot keep a new token is found out before WeChat is asked for one. If
//     somebody else holds the lease, the flight waits and reads what he stored.
//  3. It reads the record again. If the token is good and not the one reported as
//     failed, it is finished.
//  4. It calls WeChat, outside of any transaction or mutex, with a deadline inside
//     the lease.
//  5. One statement appends the refresh token to the history, always, and moves the
//     token set if the grant is still the same and no later epoch has written.
//  6. It publishes the token to the waiters and releases the lease.
//
// Callers only bound their wait: a flight goes on when they leave.
//
// # What happens on each failure
//
//   - The store cannot claim: WeChat is not asked, [Keeper.Health] says why, tokens
//     in memory are served while they live.
//   - The store cannot save what WeChat answered: the token set stays in memory and
//     saving is tried until it works; Health says so. Meanwhile the token in force is
//     served as long as it lives, unless a caller reports that WeChat refuses it.
//   - WeChat is busy, unreachable or answers nonsense: nothing is changed, the token
//     in force is served while it lives, the next attempt is put off with jitter.
//   - WeChat denies the authorization (61003, 61023): it is not believed at once.
//     Other refresh tokens in the history, the one in api_get_authorizer_info and the
//     one in api_get_authorizer_list are tried, and all of this again at least ten
//     seconds later. Only then does the authorizer need re-authorization, and even
//     then it is looked at again, ever less often. Nothing is deleted.
//   - The authorizer re-authorizes or revokes meanwhile: the grant number or the
//     state no longer fits, the token set does not move, and nothing of the old
//     grant is handed out.
package keeper
