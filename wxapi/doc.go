// Package wxapi calls WeChat's API as a third-party platform: for the component
// itself and on behalf of the accounts that authorized it.
//
// A [Client] has a method for each endpoint of the authorization core, named after
// the platform's own name, and [Client.Call] for any other path. Tokens come from a
// [TokenSource], which the keeper is; a client never stores one.
//
// # What a call does
//
// The request is built from its description for every attempt, with the token of
// that moment under the name that the path wants. It is sent again in three cases
// only:
//
//   - WeChat refused the token: once, with the token that [TokenSource.Invalidate]
//     returns, whatever the call. WeChat did nothing with such a request.
//   - A base URL failed: with the next one. Any call if it was certainly never sent;
//     a repeatable call also if the connection broke or the reply was a 5xx.
//   - WeChat is busy (-1): a repeatable call, three times, with short jittered waits.
//
// The endpoints that hand out tokens are not repeatable, so that the keeper, which
// knows what is at stake, decides. A base URL that helped out stays first for a
// minute.
//
// # What an error says
//
// A refusal is an [*APIError]. Its class, such as [ErrQuota], is what to branch on,
// and [APIError.Explain] says in Chinese and English what to do. A call that ended
// without an answer is a [*TransportError] or a [*ReplyError]; whether it may have
// had an effect is [ErrNotSent] against [ErrOutcomeUnknown]. A reply is believed
// only if it is one JSON object with unique keys, an errcode of 0 or none, and the
// fields that a success must have.
//
// No error, and nothing that is logged, holds a token, code, ticket or secret.
package wxapi
