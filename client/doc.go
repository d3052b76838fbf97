// Package client is the Go client of a Tuoguan server: of its REST API, and of its
// gateway.
//
// # Tokens
//
// A [Client] hands out access tokens like [wxapi.TokenSource], so that wxapi.Client
// works on it as on a keeper in the same process. Tokens are kept in memory. While
// one is fresh no request is made; after a minute at most the server is asked
// again, for it may have a newer one, and a token that is still good is handed out
// while the server cannot be reached. None is handed out past its expiry. For each
// account one request is under way at a time, however many callers wait for it, and
// each of them waits no longer than its own context.
//
// A token that WeChat refuses (errcode 40001, 40014, 42001) goes to
// [Client.Invalidate]: everybody may report it, one refresh happens.
//
// # The gateway
//
// With [Client.Transport] an http.Client calls WeChat through the gateway, which
// adds the token and knows what may be tried again. No token reaches the process
// then. The API key is sent to the configured server and gateway and to nobody else,
// whatever a redirect says.
//
// # Webhooks
//
// A program that receives events reads them with [ReadWebhook], which verifies that they
// are the server's. It needs no Client.
//
// # Everything else
//
// The other methods are the resources of the REST API, in the types of this package.
// Lists are iterators over all of their pages.
//
// # Errors
//
// What the server refuses is an [*Error] with the problem's name and texts, and
// errors.Is tells the kinds apart that a caller may act on: [ErrRevoked],
// [ErrNeedsReauthorization], [ErrUnauthorized] and the others. Requests that change
// nothing, and the report of a refused token, which may be repeated, are tried
// again with growing pauses while the server is away, for [Config.Patience].
//
// A Client is safe for concurrent use, starts no goroutines and needs no closing.
//
// [wxapi.TokenSource]: https://pkg.go.dev/github.com/tuoguan/tuoguan/wxapi#TokenSource
package client
