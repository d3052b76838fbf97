// Package store says what Tuoguan remembers and what every back end owes it.
//
// The contract is [Store]; package storetest judges implementations by it, with no
// way to opt out of a case. What a back end must guarantee:
//
//   - A method that returned nil has made its change durable: it survives a kill of
//     the process and a loss of power. A method that returned an error other than
//     one of the sentinels may or may not have taken effect; ask again, by reading.
//   - A read that begins after a write returned sees that write.
//   - Every method is one atomic step. Where the comment says "in one step", all of
//     it happens or none of it does.
//   - [ErrNotFound] means absent and nothing else; an outage is another error.
//   - All methods are safe for concurrent use and honour cancellation while they wait.
//   - Instants are kept in UTC with millisecond precision. The zero [time.Time] is
//     kept as such, and a zero [tuoguan.Secret] comes back as zero.
//   - Every secret is sealed by the [Cipher] before it is written and is bound to its
//     place, so that a stolen file holds none and a swapped value does not open.
//
// The store decides what time it is where leases and the expiry of values are concerned,
// never the caller.
package store
