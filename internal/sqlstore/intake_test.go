package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/tuoguan/tuoguan/internal/sqlstore"
	"github.com/tuoguan/tuoguan/store"
)

// stuck is an engine that tells of every write and then stands still until it is not
// waited for any more.
type stuck struct {
	sqlstore.Engine
	writes chan context.Context
}

func (e stuck) Write(ctx context.Context, _ int, _ func(sqlstore.Tx) error) error {
	e.writes <- ctx
	<-ctx.Done()
	return ctx.Err()
}

func (stuck) Close() error { return nil }

// open is a cipher that hides nothing.
type open struct{}

func (open) Seal(_ store.Place, plaintext []byte) ([]byte, error) { return bytes.Clone(plaintext), nil }
func (open) Open(_ store.Place, sealed []byte) ([]byte, error)    { return bytes.Clone(sealed), nil }
func (open) Current([]byte) bool                                  { return true }

// TestPushesThatNobodyWaitsFor has callers leave while a database stands still. A
// transaction goes on as long as somebody waits for it, and no longer; pushes whose
// callers have left are not stored any more.
func TestPushesThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine := stuck{writes: make(chan context.Context, 100)}
		s, err := sqlstore.New(t.Context(), engine, sqlstore.Queries{}, store.Under(open{}), nil)
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, 100)
		accept := func(n int) context.CancelFunc {
			ctx, leave := context.WithCancel(t.Context())
			go func() {
				_, _, err := s.AcceptPush(ctx, store.Intake{Push: store.Push{Key: fmt.Sprint(n)}})
				outcomes <- err
			}()
			synctest.Wait()
			return leave
		}
		left := func(leave context.CancelFunc) {
			t.Helper()
			leave()
			synctest.Wait()
			select {
			case err := <-outcomes:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			default:
				t.Error("who has left is kept waiting")
			}
		}
		first, second := accept(1), accept(2) // are on their way, each alone
		if len(engine.writes) != 2 {
			t.Fatalf("%d transactions are under way", len(engine.writes))
		}
		firstWrite, secondWrite := <-engine.writes, <-engine.writes
		third, fourth, fifth := accept(3), accept(4), accept(5) // are gathered
		left(fifth)
		if len(engine.writes) != 0 || firstWrite.Err() != nil {
			t.Error("more than two transactions, or one was given up")
		}
		left(first)
		if firstWrite.Err() == nil || len(engine.writes) != 1 || secondWrite.Err() != nil {
			t.Fatalf("nobody waits for the first: %v; %d more are under way, %v", firstWrite.Err(), len(engine.writes), secondWrite.Err())
		}
		both := <-engine.writes
		left(third)
		if both.Err() != nil {
			t.Error("one still waits")
		}
		left(fourth)
		if both.Err() == nil {
			t.Error("nobody waits any more")
		}
		left(second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := s.AcceptPush(t.Context(), store.Intake{}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
		if len(engine.writes) != 0 {
			t.Error("what nobody waits for was written")
		}
	})
}
