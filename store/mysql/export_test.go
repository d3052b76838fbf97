package mysql

import (
	"context"

	"github.com/tuoguan/tuoguan"
	"github.com/tuoguan/tuoguan/internal/sqlpool"
)

// OpenPool opens a pool as stores do, on the server of the tests.
func OpenPool(_ context.Context, url string) (*sqlpool.Pool, error) {
	db, err := openPool(tuoguan.NewSecret(url), mariaDB)
	if err != nil {
		return nil, err
	}
	return sqlpool.New(db, dialect(mariaDB)), nil
}
