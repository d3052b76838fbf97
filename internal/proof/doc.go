//go:build unix

// Package proof runs servers as an operator would, in processes of their own and on
// real databases, does to them what can happen to servers, and has the history of it
// judged by package checker. Nobody has to believe it: whoever has the source runs
// cmd/tuoguan-proof.
//
// A [Round] is one simulated platform with its merchants, one to several server
// processes on one store, and callers. Merchants authorize, update and revoke; callers
// read access tokens from all servers, have some refreshed, and look at once whether
// the platform takes what they were given; users write messages; an intruder forges
// pushes and replays genuine ones. Meanwhile a driver strikes: see [Blow] and [Spell].
// Then all faults end, and within a minute every merchant has to be as the platform has
// it, with a refresh token that works. Most rounds are held on a platform that kills a
// refresh token as soon as it has issued the next, and tells the newest to nobody: there,
// custody alone can save an authorization.
//
// Rounds with [Traffic] are about pushes and what becomes of them: users write thousands of
// messages, which are pushed as WeChat does, several times if need be; and subscribers get
// webhooks from the servers, while they are killed time and again, hang, redirect, answer
// slowly, or say something else than they do. In the end every event in the store has to have
// come to every subscriber who wants it, or stand among the dead letters.
//
// # What is checked where
//
// The invariants are those of docs/invariants.md.
//
//   - Here, from the history: INV-1 and INV-1b (no lost token), 2 and 7 (no regress, fenced
//     pointer: which refresh token a server presents), 3 (no blanking), 4 (no false death),
//     5 (a token that a frozen or cut off server has received is found again), 6 (single
//     flight), 8 (no stale token), 9 (revocation), 10 (convergence), 11 (tickets), 13
//     (acknowledged pushes are in the store, and their codes are exchanged), 14 (deadline of
//     pushes), 15 (one event per push), 16 (every event comes to every subscriber), 17 (what
//     comes twice has a reason, and is the same), 18 (numbers and order), 19 and 21 (forged pushes), 20 (what a replay would
//     change violates 2, 9 or 11), 22 (no plaintext), 23 as far as that nobody's token is
//     ever used for or given to another, 26 as far as that nobody goes where a subscriber
//     redirects to, 28 (one server of several is lost), 31 (after a restore nothing is
//     refreshed before the comparison), 33 (wrong clocks), 34 (after a change of the key all
//     is well with the old one removed).
//   - In the simulation of package keeper, in one process on virtual time: the same, over
//     very many schedules, besides 12 (rotation of secrets) and 37 (determinism).
//   - By targeted tests: 23 (values swapped and flipped in the store), 29 (a start with a
//     million due), 30 (versions), 32 (twin).
//
// # What nobody can save
//
// Between the platform's decision to issue a refresh token and the server's disk, the
// token is in two memories only. A process that dies there on such a platform has lost
// it, whatever it does. Such losses are counted, apart from all others and by their
// cause, in [checker.Report.Lost]; the checker shows for each that no process has had
// the time to store the token.
package proof
