package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// errRaced: another transaction changed what this one has read.
var errRaced = errors.New("sqlstore: raced with another transaction")

// Store is a store on an [Engine]. Make it with [New].
type Store struct {
	engine Engine
	q      Queries
	cipher store.Cipher
	clock  *tuoguan.Clock

	intakes *intakes

	selectAuthorizer string // (component, authorizer): the columns of SelectAuthorizers
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Archive = (*Store)(nil)
)

// New returns the store on an engine whose tables are up to date, and asks keys for
// the cipher. The clock is the store's own where the database has none, else only
// its offset counts; nil is the system's. An error leaves the engine open.
func New(ctx context.Context, engine Engine, q Queries, keys store.Keys, clock *tuoguan.Clock) (*Store, error) {
	s := &Store{
		engine: engine, q: q, clock: clock,
		selectAuthorizer: q.SelectAuthorizers + " WHERE component = ? AND authorizer = ?",
	}
	s.intakes = &intakes{store: s}
	cipher, err := keys(ctx, s)
	if err != nil {
		return nil, err
	}
	s.cipher = cipher
	return s, nil
}

// Probe implements [store.Store].
func (s *Store) Probe(ctx context.Context) error { return s.engine.Probe(ctx) }

// Close implements [store.Store].
func (s *Store) Close() error {
	s.intakes.close()
	return s.engine.Close()
}

// shift is what to add to the database's clock to get the store's, in milliseconds:
// the present, where the database has no clock.
func (s *Store) shift() int64 {
	if s.q.Now == "" {
		return sqlkit.Millis(s.clock.Now())
	}
	return s.clock.Offset().Milliseconds()
}

// now reads the store's clock.
func (s *Store) now(tx Tx) (time.Time, error) {
	if s.q.Now == "" {
		return kept(s.clock.Now()), nil
	}
	r, err := tx.One(s.q.Now, s.shift())
	if err != nil {
		return time.Time{}, err
	}
	return r.Time(), nil
}

// kept returns an instant as it will be read back.
func kept(t time.Time) time.Time { return sqlkit.Time(sqlkit.Millis(t)) }

// write runs a transaction until it has not raced with another. Steps says how many
// statements write.
func (s *Store) write(ctx context.Context, steps int, run func(Tx) error) error {
	for {
		if err := s.engine.Write(ctx, steps, run); !errors.Is(err, errRaced) {
			return err
		}
	}
}

// writeFor is write for an operation with a result, which is zero if it fails.
func writeFor[T any](ctx context.Context, s *Store, steps int, run func(Tx) (T, error)) (T, error) {
	var result, none T
	err := s.write(ctx, steps, func(tx Tx) (err error) {
		result, err = run(tx)
		return err
	})
	if err != nil {
		return none, err // result may still be written to
	}
	return result, nil
}

// insert adds a record, or returns store.ErrConflict if it is there.
func (s *Store) insert(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, 1, func(tx Tx) error {
		inserted, err := tx.Exec(query, args...)
		if err == nil && inserted == 0 {
			return store.ErrConflict
		}
		return err
	})
}

// readFor reads something.
func readFor[T any](ctx context.Context, s *Store, run func(Tx) (T, error)) (result T, err error) {
	err = s.engine.Read(ctx, func(tx Tx) (err error) {
		result, err = run(tx)
		return err
	})
	return result, err
}

// readOne returns a single record, or store.ErrNotFound.
func readOne[T any](ctx context.Context, s *Store, decode func(Row) (T, error), query string, args ...any) (T, error) {
	r, err := readFor(ctx, s, func(tx Tx) (Row, error) { return tx.One(query, args...) })
	if err != nil {
		var none T
		return none, err
	}
	return whole(decode(r))
}

// whole returns a record, or nothing of it if a part of it did not open.
func whole[T any](record T, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return record, nil
}

// readAll returns records in the order of the query. Those whose secrets do not
// open are left out, and the error tells of them.
func readAll[T any](ctx context.Context, s *Store, decode func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := readFor(ctx, s, func(tx Tx) ([]Row, error) { return tx.Query(query, args...) })
	if err != nil {
		return nil, err
	}
	var all []T
	var errs []error
	for _, r := range rows {
		record, err := decode(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, record)
	}
	return all, errors.Join(errs...)
}

// after is the condition that columns of an index come after a key, with its arguments.
func (s *Store) after(columns []string, key []any) (condition string, args []any) {
	if !s.q.SpellOutOrder || len(columns) == 1 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
		return "(" + strings.Join(columns, ", ") + ") > (" + marks + ")", key
	}
	rest, argsOfRest := s.after(columns[1:], key[1:])
	first := columns[0]
	return "(" + first + " > ? OR " + first + " = ? AND " + rest + ")", append([]any{key[0], key[0]}, argsOfRest...)
}

// limit returns how many records to list.
func limit(n int) int {
	if n <= 0 {
		return store.DefaultLimit
	}
	return n
}

// seal seals a secret for its place; an empty one stays empty.
func (s *Store) seal(place store.Place, secret tuoguan.Secret) ([]byte, error) {
	if secret.IsZero() {
		return nil, nil
	}
	return s.sealBytes(place, []byte(secret.Reveal()))
}

// sealBytes seals what is not nil.
func (s *Store) sealBytes(place store.Place, plaintext []byte) ([]byte, error) {
	if plaintext == nil {
		return nil, nil
	}
	sealed, err := s.cipher.Seal(place, plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal %s of %s: %w", place.Field, owner(place), err)
	}
	return sealed, nil
}

// open is the reverse of seal.
func (s *Store) open(place store.Place, sealed []byte) (tuoguan.Secret, error) {
	plaintext, err := s.openBytes(place, sealed)
	return tuoguan.NewSecret(string(plaintext)), err
}

func (s *Store) openBytes(place store.Place, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	plaintext, err := s.cipher.Open(place, sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s of %s: %w", place.Field, owner(place), err)
	}
	if plaintext == nil {
		plaintext = []byte{} // empty, but there
	}
	return plaintext, nil
}

// owner names whose value is at a place.
func owner(place store.Place) tuoguan.TokenOwner {
	return tuoguan.AuthorizerToken(place.Component, place.Authorizer)
}
