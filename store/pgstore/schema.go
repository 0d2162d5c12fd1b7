package pgstore

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// A start asks for the lock of the migrations that often, and waits for five minutes in all.
const (
	lockEvery = 250 * time.Millisecond
	lockTries = 1200
)

// migrateSchema brings the schema to this version. Of several replicas that start together one does it.
func migrateSchema(ctx context.Context, pool *pgxpool.Pool) (err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(lockEvery, lockTries))
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	kept, known, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if kept > known {
		return fmt.Errorf("the database has schema version %d, this dlrloop knows version %d: run the newer one", kept, known)
	}
	if kept == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema from version %d to %d: %w", kept, known, err)
	}
	return nil
}

// readMeta reads what was fixed when the schema was made, which is now if nobody did it before.
func readMeta(ctx context.Context, pool *pgxpool.Pool, wanted int) (slots int, salt []byte, err error) {
	fresh := make([]byte, 16)
	_, _ = rand.Read(fresh) // it never fails
	_, err = pool.Exec(ctx, `INSERT INTO meta (id, slots, salt) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`, wanted, fresh)
	if err != nil {
		return 0, nil, fmt.Errorf("fix %d slots: %w", wanted, err)
	}
	if err := pool.QueryRow(ctx, `SELECT slots, salt FROM meta WHERE id = 1`).Scan(&slots, &salt); err != nil {
		return 0, nil, fmt.Errorf("read the number of slots: %w", err)
	}
	return slots, salt, nil
}
