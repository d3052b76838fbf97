package sqlite

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
	return s.write(ctx, 1, func(tx *conn) error {
		_, _, err := tx.exec(putComponent, args...)
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
	}
}

func (s *Store) component(r row) (store.Component, error) {
	c := store.Component{AppID: tuoguan.ComponentAppID(r.text())}
	for _, f := range componentSecrets(&c) {
		var err error
		if *f.secret, err = s.open(store.Place{Component: c.AppID, Field: f.field}, r.blob()); err != nil {
			return c, err
		}
	}
	c.CreatedAt, c.UpdatedAt = r.time(), r.time()
	return c, nil
}

// Component implements [store.Components].
func (s *Store) Component(ctx context.Context, id tuoguan.ComponentAppID) (store.Component, error) {
	return readOne(ctx, s, s.component, selectComponent, id)
}

// Components implements [store.Components].
func (s *Store) Components(ctx context.Context) ([]store.Component, error) {
	return readAll(ctx, s, s.component, selectComponents)
}

func ticketPlace(t store.Ticket) store.Place {
	row := strconv.FormatInt(sqlkit.Millis(t.CreatedAt), 10) + "/" + strconv.FormatInt(sqlkit.Millis(t.ReceivedAt), 10)
	return store.Place{Component: t.Component, Field: "ticket", Row: row}
}

// addTicket is part of AcceptPush.
func addTicket(tx *conn, t store.Ticket, sealed []byte) error {
	if _, _, err := tx.exec(insertTicket, t.Component, sealed, t.CreatedAt, t.ReceivedAt); err != nil {
		return err
	}
	_, _, err := tx.exec(trimTickets, t.Component)
	return err
}

func (s *Store) ticket(r row) (t store.Ticket, err error) {
	t.Component = tuoguan.ComponentAppID(r.text())
	sealed := r.blob()
	t.CreatedAt, t.ReceivedAt = r.time(), r.time()
	t.Value, err = s.open(ticketPlace(t), sealed)
	return t, err
}

// Tickets implements [store.Components].
func (s *Store) Tickets(ctx context.Context, id tuoguan.ComponentAppID) ([]store.Ticket, error) {
	return readAll(ctx, s, s.ticket, selectTickets, id)
}

func componentTokenPlace(t store.ComponentToken) store.Place {
	return store.Place{Component: t.Component, Field: "component_token", Row: strconv.FormatInt(t.Epoch, 10)}
}

// ComponentToken implements [store.Components].
func (s *Store) ComponentToken(ctx context.Context, id tuoguan.ComponentAppID) (store.ComponentToken, error) {
	return readOne(ctx, s, s.componentToken, selectComponentToken, id)
}

func (s *Store) componentToken(r row) (t store.ComponentToken, err error) {
	t.Component = tuoguan.ComponentAppID(r.text())
	sealed := r.blob()
	t.ObtainedAt, t.ExpiresAt, t.Epoch = r.time(), r.time(), r.int64()
	t.Value, err = s.open(componentTokenPlace(t), sealed)
	return t, err
}

// SaveComponentToken implements [store.Components].
func (s *Store) SaveComponentToken(ctx context.Context, t store.ComponentToken) (moved bool, err error) {
	sealed, err := s.seal(componentTokenPlace(t), t.Value)
	if err != nil {
		return false, err
	}
	return writeFor(ctx, s, 1, func(tx *conn) (bool, error) {
		changed, _, err := tx.exec(saveComponentToken, t.Component, sealed, t.ObtainedAt, t.ExpiresAt, t.Epoch)
		return changed > 0, err
	})
}
