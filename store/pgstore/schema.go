package pgstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// migrations contains the SQL scripts of the schema versions, one file for each.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Only one process at a time migrates the schema: the holder of goose's migration lock. Open and Migrate try to acquire
// the lock every lockEvery, at most lockTries times (five minutes in all). The holder renews it every five seconds.
// Another process takes it over thirty seconds after the last renewal.
const (
	lockEvery = 250 * time.Millisecond
	lockTries = 1200
)

// Migrate migrates the schema in the database of c to the version of this program, even if c.NoMigrate is set. It
// returns the versions before and after; 0 means an empty database. A new schema gets c.Slots slots (hash partitions).
// If distribute is set, Migrate also distributes the tables over the workers of a Citus cluster.
func Migrate(ctx context.Context, c Config, distribute bool) (from, to int64, err error) {
	c = c.withDefaults()
	pool, err := newPool(ctx, c, new(gate))
	if err != nil {
		return 0, 0, fmt.Errorf("migrate: %w", err)
	}
	defer pool.Close()
	if from, to, err = migrateSchema(ctx, pool); err == nil {
		_, _, err = readMeta(ctx, pool, c.Slots)
	}
	if err == nil && distribute {
		err = distributeTables(ctx, pool)
	}
	if err != nil {
		return from, to, fmt.Errorf("migrate: %w", err)
	}
	return from, to, nil
}

// migrateSchema migrates the schema to the version of this program, and returns the versions before and after. If
// several replicas start together, one of them migrates and the others wait. Each version is one transaction, so a
// failed migration leaves the version before it.
func migrateSchema(ctx context.Context, pool *pgxpool.Pool) (from, to int64, err error) {
	from, to, err = versions(ctx, pool)
	if err != nil || from == to {
		return from, from, err
	}
	db := stdlib.OpenDB(*migrationConfig(pool.Config().ConnConfig))
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := migrator(db)
	if err != nil {
		return from, from, err
	}
	if _, err := p.Up(ctx); err != nil {
		return from, from, fmt.Errorf("change the schema from version %d to %d: %w", from, to, withRoleHint(err))
	}
	return from, to, nil
}

// checkSchema returns an error unless the schema has the version that this program needs. It changes nothing.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	current, latest, err := versions(ctx, pool)
	if err == nil && current < latest {
		return fmt.Errorf("the database has schema version %d, this dlrloop needs version %d and may not change it: "+
			"run `dlrloop migrate`",
			current, latest)
	}
	return err
}

// versions returns the version of the schema in the database (0 without a schema) and the latest version that this
// program knows. A newer schema is an error. It reads only table goose_db_version, which lists the applied migrations.
func versions(ctx context.Context, pool *pgxpool.Pool) (current, latest int64, err error) {
	if latest, err = latestVersion(); err != nil {
		return 0, 0, err
	}
	if current, err = databaseVersion(ctx, pool); err != nil {
		return 0, 0, fmt.Errorf("read the schema version: %w", withPgBouncerHint(err))
	}
	if current > latest {
		return current, latest, fmt.Errorf("the database has schema version %d, this dlrloop supports version %d: "+
			"run the newer dlrloop", current, latest)
	}
	return current, latest, nil
}

// latestVersion returns the schema version that this program needs: the number of the last file in migrations.
func latestVersion() (latest int64, err error) {
	files, err := migrations.ReadDir("migrations")
	for _, file := range files {
		if latest, err = goose.NumericComponent(file.Name()); err != nil {
			return 0, err
		}
	}
	return latest, err
}

// databaseVersion returns the version of the schema in the database, or 0 if there is no schema.
func databaseVersion(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	var made bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&made); err != nil || !made {
		return 0, err
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&version)
	return version, err
}

// withRoleHint returns err unchanged or, if the database role may not change the schema, wrapped with what to do.
func withRoleHint(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42501" {
		return fmt.Errorf("%w: run `dlrloop migrate` with a role that may create tables", err)
	}
	return err
}

// migrator returns goose's provider for the migrations of db. Its method Up waits for the migration lock.
func migrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLockTimeout(lockEvery, lockTries), lock.WithTableRetryPolicy(lockHeld))
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// lockHeld reports whether err means that another process holds the migration lock, so that goose tries again.
func lockHeld(err error) bool {
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	return !refused && !unreachable
}

// readMeta returns the number of slots (hash partitions) and the salt of their hash, which never change once stored. In
// a new schema it first stores wanted as the number of slots, and a random salt.
func readMeta(ctx context.Context, pool *pgxpool.Pool, wanted int) (slots int, salt []byte, err error) {
	const read = `SELECT slots, salt FROM meta WHERE id = 1`
	err = pool.QueryRow(ctx, read).Scan(&slots, &salt)
	if errors.Is(err, pgx.ErrNoRows) {
		fresh := make([]byte, 16)
		_, _ = rand.Read(fresh) // never fails
		_, err = pool.Exec(ctx,
			`INSERT INTO meta (id, slots, salt) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`, wanted, fresh)
		if err != nil {
			return 0, nil, fmt.Errorf("set the number of slots to %d: %w", wanted, err)
		}
		err = pool.QueryRow(ctx, read).Scan(&slots, &salt)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the number of slots: %w", err)
	}
	return slots, salt, nil
}

// distributeTables distributes the tables over the workers of a Citus cluster. It skips tables that are already
// distributed.
func distributeTables(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pgx.ConnectConfig(ctx, migrationConfig(pool.Config().ConnConfig))
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, distribution).ReadAll()
	if err != nil {
		err = fmt.Errorf("distribute the tables: %w", err)
	}
	return errors.Join(err, conn.Close(ctx))
}
