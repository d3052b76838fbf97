package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

const (
	// maxIntakes is how many pushes are accepted by one transaction at most.
	maxIntakes = 128
	// maxIntakeBytes bounds what their bodies may add up to, for databases bound what a
	// statement may hold.
	maxIntakeBytes = 1 << 20
	// intakesAtOnce is how many such transactions are under way at most. While one is
	// made durable another is filled; more of them would be smaller, and wait for each
	// other's accounts.
	intakesAtOnce = 2
	// intakeRows is how many rows are written by one statement at most.
	intakeRows = 128
	// gatherYields is how often others may run before it is looked whether there are
	// more pushes.
	gatherYields = 2
)

// intake is a push on its way into the database.
type intake struct {
	push   store.Push // as it will be read back
	body   []byte     // sealed
	routes []store.Route
	change func(Tx) error // what else it brings about; nil if nothing

	answer chan answer
	batch  *intakeBatch // since it was taken
	left   bool         // nobody waits for it any more
}

// accepted is what became of an intake: the numbers that its push got, or the row of
// the one that is stored already.
type accepted struct {
	id, seq int64
	stored  *Row
}

type answer struct {
	accepted
	err error
}

// intake prepares what is to be accepted.
func (s *Store) intake(in store.Intake) (*intake, error) {
	key := func(text string) string { return text }
	if s.q.Key != nil {
		key = s.q.Key
	}
	p := in.Push
	p.Key = key(p.Key)
	p.Component, p.Authorizer = tuoguan.ComponentAppID(key(string(p.Component))), tuoguan.AuthorizerAppID(key(string(p.Authorizer)))
	p.ID, p.Seq, p.Reply = 0, 0, nil
	p.CreatedAt, p.ReceivedAt = kept(p.CreatedAt), kept(p.ReceivedAt)
	body, err := s.sealBytes(pushPlace(p, "push"), p.Body)
	if err != nil {
		return nil, err
	}
	change, err := s.change(in)
	if err != nil {
		return nil, err
	}
	i := &intake{push: p, body: body, change: change}
	for n, r := range in.Routes {
		twice := func(other store.Route) bool { return other.Subscription == r.Subscription }
		if !slices.ContainsFunc(in.Routes[:n], twice) {
			i.routes = append(i.routes, r)
		}
	}
	return i, nil
}

// announcement prepares what a change is to be told by; none if it is not to be.
func (s *Store) announcement(in *store.Intake) ([]*intake, error) {
	if in == nil {
		return nil, nil
	}
	i, err := s.intake(*in)
	return []*intake{i}, err
}

func pushPlace(p store.Push, field string) store.Place {
	return store.Place{Component: p.Component, Authorizer: p.Authorizer, Field: field, Row: p.Key}
}

// AcceptPush implements [store.Pushes]. Pushes that bring about nothing else are
// gathered while others are being stored, and then stored together.
func (s *Store) AcceptPush(ctx context.Context, in store.Intake) (store.Push, bool, error) {
	i, err := s.intake(in)
	if err != nil {
		return store.Push{}, false, err
	}
	var got accepted
	if i.change == nil {
		got, err = s.intakes.add(ctx, i)
	} else {
		got, err = s.acceptAlone(ctx, i)
	}
	if err != nil {
		return store.Push{}, false, err
	}
	if got.stored != nil {
		p, err := whole(s.push(*got.stored))
		return p, true, err
	}
	i.push.ID, i.push.Seq = got.id, got.seq
	return i.push, false, nil
}

func (s *Store) acceptAlone(ctx context.Context, i *intake) (accepted, error) {
	all, err := writeFor(ctx, s, 8, func(tx Tx) ([]accepted, error) { return s.accept(tx, []*intake{i}) })
	if err != nil {
		return accepted{}, err
	}
	return all[0], nil
}

// intakes gathers pushes that are to be stored. Whoever is alone waits for nobody.
type intakes struct {
	store *Store

	mu       sync.Mutex
	waiting  []*intake
	underWay int
	closed   bool
	work     sync.WaitGroup
}

// intakeBatch are pushes that are stored together.
type intakeBatch struct {
	intakes []*intake
	ctx     context.Context // until nobody waits for any of them
	cancel  context.CancelFunc
	waiting int // how many are waited for
}

// add has a push stored and waits until it is durable. If ctx ends first, it may still
// be.
func (g *intakes) add(ctx context.Context, i *intake) (accepted, error) {
	if err := ctx.Err(); err != nil {
		return accepted{}, err
	}
	i.answer = make(chan answer, 1)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return accepted{}, fmt.Errorf("%w: it is closed", store.ErrUnavailable)
	}
	g.waiting = append(g.waiting, i)
	if g.underWay < intakesAtOnce {
		g.underWay++
		g.work.Go(func() { g.run(context.WithoutCancel(ctx)) })
	}
	g.mu.Unlock()
	select {
	case a := <-i.answer:
		return a.accepted, a.err
	case <-ctx.Done():
		g.leave(i)
		return accepted{}, ctx.Err()
	}
}

// leave notes that nobody waits for a push any more.
func (g *intakes) leave(i *intake) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.left = true
	if b := i.batch; b != nil {
		if b.waiting--; b.waiting == 0 {
			b.cancel()
		}
	}
}

// run stores batches until nothing waits.
func (g *intakes) run(ctx context.Context) {
	for {
		g.gather()
		b := g.take(ctx)
		if b == nil {
			return
		}
		g.store.acceptBatch(b)
		b.cancel()
	}
}

// gather lets others run as long as that brings more pushes.
func (g *intakes) gather() {
	for last := 0; ; {
		g.mu.Lock()
		n := len(g.waiting)
		g.mu.Unlock()
		if n <= last || n >= maxIntakes {
			return
		}
		last = n
		for range gatherYields {
			runtime.Gosched()
		}
	}
}

// take removes the next batch from what waits; nil if nothing does.
func (g *intakes) take(ctx context.Context) *intakeBatch {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := new(intakeBatch)
	size := 0
	for len(g.waiting) > 0 && len(b.intakes) < maxIntakes && size < maxIntakeBytes {
		i := g.waiting[0]
		g.waiting[0], g.waiting = nil, g.waiting[1:]
		if !i.left {
			i.batch = b
			b.intakes = append(b.intakes, i)
			size += len(i.body)
		}
	}
	if len(b.intakes) == 0 {
		g.underWay--
		return nil
	}
	b.waiting = len(b.intakes)
	b.ctx, b.cancel = context.WithCancel(ctx)
	return b
}

// close refuses further pushes and waits for those that there are.
func (g *intakes) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.work.Wait()
}

// acceptBatch stores pushes and answers them. One that the database does not take must
// not keep others from being stored, so if they fail together each is tried alone.
func (s *Store) acceptBatch(b *intakeBatch) {
	all, err := writeFor(b.ctx, s, 8, func(tx Tx) ([]accepted, error) { return s.accept(tx, b.intakes) })
	each := err != nil && len(b.intakes) > 1 && !errors.Is(err, store.ErrUnavailable) && b.ctx.Err() == nil
	for n, i := range b.intakes {
		a := answer{err: err}
		switch {
		case each:
			a.accepted, a.err = s.acceptAlone(b.ctx, i)
		case err == nil:
			a.accepted = all[n]
		}
		i.answer <- a
	}
}

// accept stores those of the pushes that are not stored yet, with their deliveries.
//
// A merchant's pushes get their numbers under a lock that is held until they are
// committed. Ids are given after that, so they are in the same order, and whoever
// sees a push sees those before it.
func (s *Store) accept(tx Tx, batch []*intake) ([]accepted, error) {
	if len(batch) == 0 {
		return nil, nil
	}
	stored, err := s.storedPushes(tx, batch)
	if err != nil {
		return nil, err
	}
	results := make([]accepted, len(batch))
	at := make(map[string]int, len(batch)) // by key, among the new ones
	var fresh []*intake
	for n, i := range batch {
		if row, ok := stored[i.push.Key]; ok {
			results[n].stored = &row
		} else if _, twice := at[i.push.Key]; !twice {
			at[i.push.Key] = len(fresh)
			fresh = append(fresh, i)
		}
	}
	for _, i := range fresh {
		if i.change != nil {
			if err := i.change(tx); err != nil {
				return nil, err
			}
		}
	}
	numbers, err := s.insertPushes(tx, fresh)
	if err != nil {
		return nil, err
	}
	first := make(map[string]bool, len(fresh))
	for n, i := range batch {
		key := i.push.Key
		switch {
		case results[n].stored != nil:
		case !first[key]:
			first[key] = true
			results[n] = numbers[at[key]]
		default:
			r, err := tx.One(s.q.SelectPushByKey, key)
			if err != nil {
				return nil, err
			}
			results[n].stored = &r
		}
	}
	return results, nil
}

// storedPushes returns the rows of those that are stored, by key.
func (s *Store) storedPushes(tx Tx, batch []*intake) (map[string]Row, error) {
	keys := make([]string, len(batch))
	for n, i := range batch {
		keys[n] = i.push.Key
	}
	args := padded(keys)
	rows, err := tx.Query("SELECT dedup_key, "+pushColumns+" FROM pushes WHERE "+oneOf("dedup_key", len(args)), args...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	stored := make(map[string]Row, len(rows))
	for _, r := range rows {
		stored[r.Text()] = r
	}
	return stored, nil
}

// insertPushes stores pushes that are new, and returns their numbers.
func (s *Store) insertPushes(tx Tx, fresh []*intake) ([]accepted, error) {
	last, err := s.lastSequences(tx, fresh)
	if err != nil {
		return nil, err
	}
	numbers := make([]accepted, len(fresh))
	for n, i := range slices.Backward(fresh) {
		account := last[i.authorization()]
		numbers[n].seq = account.seq
		account.seq--
	}
	ids := make(map[string]int64, len(fresh))
	done := 0
	for part := range chunks(fresh, intakeRows) {
		args := make([]any, 0, 8*len(part))
		for n, i := range part {
			p := &i.push
			args = append(args, numbers[done+n].seq, p.Key, p.Component, p.Authorizer, p.Kind, i.body, p.CreatedAt, p.ReceivedAt)
		}
		done += len(part)
		query := "INSERT INTO pushes (seq, dedup_key, component, authorizer, kind, body, created_at, received_at) VALUES " +
			repeated("(?, ?, ?, ?, ?, ?, ?, ?)", len(part))
		if err := s.inserted(tx, ids, part, query, args); err != nil {
			return nil, err
		}
	}
	var rows []delivery
	for n, i := range fresh {
		numbers[n].id = ids[i.push.Key]
		for _, r := range i.routes {
			due := dueAt(r.DueAt)
			if due == sqlkit.Millis(i.push.ReceivedAt) {
				due = max(due, last[i.authorization()].due)
			}
			rows = append(rows, delivery{numbers[n].id, r.Subscription, due})
		}
	}
	return numbers, insertDeliveries(tx, rows)
}

// inserted runs an insert of pushes and notes their ids by key.
func (s *Store) inserted(tx Tx, ids map[string]int64, part []*intake, query string, args []any) error {
	note := func(r Row) {
		id := r.Int64()
		ids[r.Text()] = id
	}
	if s.q.Returning {
		return each(tx, note, query+" RETURNING id, dedup_key", args...)
	}
	if _, err := tx.Exec(query, args...); err != nil {
		return err
	}
	keys := make([]any, len(part))
	for n, i := range part {
		keys[n] = i.push.Key
	}
	return each(tx, note, "SELECT id, dedup_key FROM pushes WHERE "+oneOf("dedup_key", len(keys)), keys...)
}

func (i *intake) authorization() tuoguan.Authorization {
	return tuoguan.Authorization{Component: i.push.Component, Authorizer: i.push.Authorizer}
}

// sequence is how far an account has come.
type sequence struct {
	seq int64 // the number given last
	due int64 // the latest receipt, by whichever replica
}

// lastSequences counts up the numbers of pushes by as many as there are new ones of an
// account, and returns the last for each. All go through the accounts in the same
// order, so none waits for another who waits for him.
func (s *Store) lastSequences(tx Tx, fresh []*intake) (map[tuoguan.Authorization]*sequence, error) {
	count := make(map[tuoguan.Authorization]*sequence, len(fresh))
	var accounts []tuoguan.Authorization
	for _, i := range fresh {
		a := i.authorization()
		if count[a] == nil {
			count[a] = new(sequence)
			accounts = append(accounts, a)
		}
		count[a].seq++
		count[a].due = max(count[a].due, sqlkit.Millis(i.push.ReceivedAt))
	}
	slices.SortFunc(accounts, func(a, b tuoguan.Authorization) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Authorizer, b.Authorizer))
	})
	note := func(r Row) {
		a := authorization(&r)
		*count[a] = sequence{r.Int64(), r.Int64()}
	}
	for part := range chunks(accounts, intakeRows) {
		args := make([]any, 0, 4*len(part))
		for _, a := range part {
			args = append(args, a.Component, a.Authorizer, count[a].seq, count[a].due)
		}
		query := "INSERT INTO event_sequences (component, authorizer, last_seq, last_due) VALUES " + repeated("(?, ?, ?, ?)", len(part)) + s.q.AddSequences
		if s.q.Returning {
			if err := each(tx, note, query+" RETURNING component, authorizer, last_seq, last_due", args...); err != nil {
				return nil, err
			}
			continue
		}
		if _, err := tx.Exec(query, args...); err != nil {
			return nil, err
		}
		args = args[:0]
		for _, a := range part {
			args = append(args, a.Component, a.Authorizer)
		}
		err := each(tx, note, "SELECT component, authorizer, last_seq, last_due FROM event_sequences WHERE (component, authorizer) IN ("+
			repeated("(?, ?)", len(part))+")", args...)
		if err != nil {
			return nil, err
		}
	}
	return count, nil
}

// delivery is a row that is to be.
type delivery struct {
	event        int64
	subscription string
	due          int64
}

func insertDeliveries(tx Tx, rows []delivery) error {
	for part := range chunks(rows, intakeRows) {
		args := make([]any, 0, 3*len(part))
		for _, d := range part {
			args = append(args, d.event, d.subscription, d.due)
		}
		_, err := tx.Exec("INSERT INTO deliveries (event, subscription, due_at, attempts, log, finished_at) VALUES "+
			repeated("(?, ?, ?, 0, '', 0)", len(part)), args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// change prepares what a push brings about besides; nil if nothing.
func (s *Store) change(in store.Intake) (func(Tx) error, error) {
	switch {
	case in.Ticket != nil:
		t := *in.Ticket
		sealed, err := s.seal(ticketPlace(t), t.Value)
		return func(tx Tx) error { return s.addTicket(tx, t, sealed) }, err
	case in.Exchange != nil:
		e := *in.Exchange
		code, err := s.seal(codePlace(e), e.Code)
		return func(tx Tx) error {
			_, err := s.putExchange(tx, e, code)
			return err
		}, err
	case !in.Revoke.IsZero():
		a := tuoguan.Authorization{Component: in.Push.Component, Authorizer: in.Push.Authorizer}
		return func(tx Tx) error {
			_, _, err := s.revoke(tx, a, in.Revoke)
			return err
		}, nil
	}
	return nil, nil
}
