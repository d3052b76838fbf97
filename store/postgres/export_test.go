package postgres

import (
	"context"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlpool"
)

// OpenPool opens a pool as stores do.
func OpenPool(_ context.Context, url string) (*sqlpool.Pool, error) {
	conn, err := parse(tuoguan.NewSecret(url))
	if err != nil {
		return nil, err
	}
	return sqlpool.New(openPool(conn), dialect(conn)), nil
}
