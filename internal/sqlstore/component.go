package sqlstore

import (
	"context"
	"strconv"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlkit"
	"github.com/tuoguan/tuoguan/store"
)

// PutComponent implements [store.Components].
func (s *Store) PutComponent(ctx context.Context, c store.Component) error {
	args := []any{c.AppID}
	for _, f := range componentSecrets(&c) {
		sealed, err := s.seal(store.Place{Component: c.AppID, Field: f.field}, *f.secret)
		if err != nil {
			return err
		}
		args = append(args, sealed)
	}
	args = append(args, c.CreatedAt, c.UpdatedAt)
	return s.write(ctx, 1, func(tx Tx) error {
		_, err := tx.Exec(s.q.PutComponent, append(args[:len(args):len(args)], s.shift())...)
		return err
	})
}

type componentSecret struct {
	field  string
	secret *tuoguan.Secret
}

// componentSecrets names the secrets of c in the order of the columns.
func componentSecrets(c *store.Component) []componentSecret {
	return []componentSecret{
		{"app_secret", &c.Secret},
		{"token", &c.Token},
		{"encoding_aes_key", &c.EncodingAESKey},
		{"previous_token", &c.PreviousToken},
		{"previous_encoding_aes_key", &c.PreviousEncodingAESKey},
		{"staged_secret", &c.StagedSecret},
	}
}

func (s *Store) component(r Row) (store.Component, error) {
	c := store.Component{AppID: tuoguan.ComponentAppID(r.Text())}
	for _, f := range componentSecrets(&c) {
		var err error
		if *f.secret, err = s.open(store.Place{Component: c.AppID, Field: f.field}, r.Blob()); err != nil {
			return c, err
		}
	}
	c.CreatedAt, c.UpdatedAt = r.Time(), r.Time()
	return c, nil
}

// Component implements [store.Components].
func (s *Store) Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	return readOne(ctx, s, s.component, s.q.SelectComponent, id)
}

// Components implements [store.Components].
func (s *Store) Components(ctx context.Context) ([]store.Component, error) {
	return readAll(ctx, s, s.component, s.q.SelectComponents)
}

func ticketPlace(t store.Ticket) store.Place {
	row := strconv.FormatInt(sqlkit.Millis(t.CreatedAt), 10) + "/" + strconv.FormatInt(sqlkit.Millis(t.ReceivedAt), 10)
	return store.Place{Component: t.Component, Field: "ticket", Row: row}
}

// addTicket is part of AcceptPush.
func (s *Store) addTicket(tx Tx, t store.Ticket, sealed []byte) error {
	if _, err := tx.Exec(s.q.InsertTicket, t.Component, sealed, t.CreatedAt, t.ReceivedAt); err != nil {
		return err
	}
	_, err := tx.Exec(s.q.TrimTickets, t.Component)
	return err
}

func (s *Store) ticket(r Row) (t store.Ticket, err error) {
	t.Component = tuoguan.ComponentAppID(r.Text())
	sealed := r.Blob()
	t.CreatedAt, t.ReceivedAt = r.Time(), r.Time()
	t.Value, err = s.open(ticketPlace(t), sealed)
	return t, err
}

// Tickets implements [store.Components].
func (s *Store) Tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]store.Ticket, error) {
	return readAll(ctx, s, s.ticket, s.q.SelectTickets, id)
}

func componentTokenPlace(t store.ComponentToken) store.Place {
	return store.Place{Component: t.Component, Field: "component_token", Row: strconv.FormatInt(t.Epoch, 10)}
}

// ComponentToken implements [store.Components].
func (s *Store) ComponentToken(ctx context.Context, id tuoguan.ComponentAppID) (store.ComponentToken, error) {
	return readOne(ctx, s, s.componentToken, s.q.SelectComponentToken, id)
}

func (s *Store) componentToken(r Row) (t store.ComponentToken, err error) {
	t.Component = tuoguan.ComponentAppID(r.Text())
	sealed := r.Blob()
	t.ObtainedAt, t.ExpiresAt, t.Epoch = r.Time(), r.Time(), r.Int64()
	t.Value, err = s.open(componentTokenPlace(t), sealed)
	return t, err
}

// SaveComponentToken implements [store.Components].
func (s *Store) SaveComponentToken(ctx context.Context, t store.ComponentToken) (moved bool, err error) {
	sealed, err := s.seal(componentTokenPlace(t), t.Value)
	if err != nil {
		return false, err
	}
	return writeFor(ctx, s, 2, func(tx Tx) (bool, error) {
		for _, query := range []string{s.q.UpdateComponentToken, s.q.InsertComponentToken} {
			changed, err := tx.Exec(query, t.Component, sealed, t.ObtainedAt, t.ExpiresAt, t.Epoch)
			if err != nil || changed > 0 {
				return changed > 0, err
			}
		}
		return false, nil
	})
}
