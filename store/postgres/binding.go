package postgres

import (
	"context"
	"database/sql"
	"fmt"
)

// Binding returns a text that tells a database from its copies: the number that its
// cluster got when it was made, the number of the database in it, and the timeline,
// which is another one after a cluster was restored from its base backup and log, and
// after a standby took over. A copy of the disk that is started like the original
// shares it.
// Source: PostgreSQL documentation, functions that show control data, and continuous
// archiving, timelines.
func Binding(ctx context.Context, cfg Config) (binding string, err error) {
	err = administer(ctx, cfg, func(db *sql.DB) error {
		var cluster, database, timeline string
		err := db.QueryRowContext(ctx, `SELECT
			(SELECT system_identifier::text FROM pg_control_system()),
			(SELECT oid::text FROM pg_database WHERE datname = current_database()),
			substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)`).Scan(&cluster, &database, &timeline)
		binding = fmt.Sprintf("cluster %s database %s timeline %s", cluster, database, timeline)
		return err
	})
	return binding, err
}
