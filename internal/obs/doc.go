// Package obs is how the server is observed: its logger, its metrics and its
// health endpoints. It knows nothing of what it observes; package server feeds it.
//
// Cardinality is bounded: no metric carries the AppID of an authorizer, a path, an
// address or a text, and values outside a known set are counted as "other".
package obs
