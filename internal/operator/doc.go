// Package operator says who uses the console and what they may do: users and their
// roles, passwords, second factors, the identity provider, and sessions.
//
// Everything that several replicas have to agree on is in the store: users, sessions,
// failed attempts, the set-up token, sign-ins that are under way. A replica keeps a
// session in memory for a few seconds only, so that a change made by any of them holds
// everywhere within five; while the store is away, nobody is signed in for longer.
//
// Sessions, lockouts and codes go by real time. The clock of [Config] may run ahead by
// hours in a demo, which must neither end the session of whoever moved it nor disagree
// with the authenticator in somebody's hand.
//
// At every moment there is an owner who can sign in; see [Operators.Change].
package operator
