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

//go:embed migrations/*.sql
var migrations embed.FS

// A start asks for the lock of the migrations that often, and waits for five minutes in all. Whoever has it says so every five
// seconds; thirty seconds after the last time, as when its process was killed, another takes it over.
const (
	lockEvery = 250 * time.Millisecond
	lockTries = 1200
)

// Migrate brings the schema to this version, whatever c.NoMigrate says, and tells the versions before and after. An empty database
// gets c.Slots slots. With distribute, the tables are then distributed over the workers of a Citus cluster.
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

// migrateSchema brings the schema to this version. Of several replicas that start together one does it. Each version is made in
// a transaction of its own: what fails leaves the version before it.
func migrateSchema(ctx context.Context, pool *pgxpool.Pool) (from, to int64, err error) {
	from, to, err = versions(ctx, pool)
	if err != nil || from == to {
		return from, from, err
	}
	db := stdlib.OpenDB(*migrating(pool.Config().ConnConfig))
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := migrator(db)
	if err != nil {
		return from, from, err
	}
	if _, err := p.Up(ctx); err != nil {
		return from, from, fmt.Errorf("change the schema from version %d to %d: %w", from, to, mayNot(err))
	}
	return from, to, nil
}

// checkSchema is an error unless the schema is of this version.
func checkSchema(ctx context.Context, pool *pgxpool.Pool) error {
	kept, known, err := versions(ctx, pool)
	if err == nil && kept < known {
		return fmt.Errorf("the database has schema version %d, this dlrloop needs version %d and may not change it: run `dlrloop migrate`",
			kept, known)
	}
	return err
}

// versions are that of the database's schema, 0 for none, and the one that this program makes. A newer schema is an error. It
// changes nothing, and needs no more than to read goose_db_version.
func versions(ctx context.Context, pool *pgxpool.Pool) (kept, known int64, err error) {
	if known, err = versionKnown(); err != nil {
		return 0, 0, err
	}
	if kept, err = versionKept(ctx, pool); err != nil {
		return 0, 0, fmt.Errorf("read the version of the schema: %w", wayOut(err))
	}
	if kept > known {
		return kept, known, fmt.Errorf("the database has schema version %d, this dlrloop knows version %d: run the newer one", kept, known)
	}
	return kept, known, nil
}

func versionKnown() (known int64, err error) {
	files, err := migrations.ReadDir("migrations")
	for _, file := range files {
		if known, err = goose.NumericComponent(file.Name()); err != nil {
			return 0, err
		}
	}
	return known, err
}

func versionKept(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	var made bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&made); err != nil || !made {
		return 0, err
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&version)
	return version, err
}

// mayNot adds the way out for a role that may not change the schema.
func mayNot(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42501" {
		return fmt.Errorf("%w: run `dlrloop migrate` with a role that may create tables", err)
	}
	return err
}

func migrator(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(lockEvery, lockTries), lock.WithTableRetryPolicy(lockTaken))
	if err != nil {
		return nil, err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}

// lockTaken reports whether the lock was refused because somebody else has it. All else fails the start.
func lockTaken(err error) bool {
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	return !refused && !unreachable
}

// readMeta reads what was fixed when the schema was made, which is now if nobody did it before.
func readMeta(ctx context.Context, pool *pgxpool.Pool, wanted int) (slots int, salt []byte, err error) {
	const read = `SELECT slots, salt FROM meta WHERE id = 1`
	err = pool.QueryRow(ctx, read).Scan(&slots, &salt)
	if errors.Is(err, pgx.ErrNoRows) {
		fresh := make([]byte, 16)
		_, _ = rand.Read(fresh) // it never fails
		_, err = pool.Exec(ctx, `INSERT INTO meta (id, slots, salt) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`, wanted, fresh)
		if err != nil {
			return 0, nil, fmt.Errorf("fix %d slots: %w", wanted, err)
		}
		err = pool.QueryRow(ctx, read).Scan(&slots, &salt)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("read the number of slots: %w", err)
	}
	return slots, salt, nil
}

// distributeTables distributes the tables over the workers of a Citus cluster. What is distributed already stays as it is.
func distributeTables(ctx context.Context, pool *pgxpool.Pool) error {
	conn, err := pgx.ConnectConfig(ctx, migrating(pool.Config().ConnConfig))
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, distribution).ReadAll()
	if err != nil {
		err = fmt.Errorf("distribute the tables: %w", err)
	}
	return errors.Join(err, conn.Close(ctx))
}
