// Package access says who calls and what they may do: API keys, their scopes, their
// rates, and which authorizations are within their reach.
//
// A key is known to its owner alone; the store has its hash. Every process keeps the
// keys it has seen in memory and reads them again while they are used, so a change
// made by any process holds everywhere within five seconds, and a store that is away
// locks nobody out whose key is known.
package access
