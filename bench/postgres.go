package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// settings returns the configuration parameters of the measured PostgreSQL server. The values suit a dedicated machine
// and make commits durable.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "on", "checkpoint_timeout": "15min",
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
	}
}

// cluster is the PostgreSQL server of a benchmark run. The measured program called postgres gets a new database for
// each measurement. The one called stored always gets the same prefilled database.
type cluster struct {
	server *pgtest.Server
	made   int
	stored string // URL of the database of the measured program called stored
}

// newCluster starts a PostgreSQL server in dir. If recipients is not 0, it also creates a database with that many
// recipients, for the measured program called stored. It passes messages about its progress to function progress.
func newCluster(ctx context.Context, dir string, recipients int, progress func(string)) (_ *cluster, err error) {
	server, err := pgtest.StartProgram(ctx, pgtest.Config{Durable: true, Dir: dir, Settings: settings()})
	if err != nil {
		return nil, err
	}
	c := &cluster{server: server}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(ctx))
		}
	}()
	if recipients == 0 {
		return c, nil
	}
	if c.stored, err = c.create(ctx, "stored"); err != nil {
		return nil, err
	}
	return c, fill(ctx, c.stored, recipients, progress)
}

func (c *cluster) close(ctx context.Context) error { return c.server.Close(context.WithoutCancel(ctx)) }

// create creates a database with this name and with dlrloop's tables, and returns its URL.
func (c *cluster) create(ctx context.Context, name string) (string, error) {
	if err := c.execute(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	url := strings.Replace(c.server.URL(), "/postgres?", "/"+name+"?", 1)
	s, err := pgstore.Open(ctx, pgstore.Config{URL: url})
	if err != nil {
		return "", err
	}
	return url, s.Close()
}

// database returns the URL of the database for the next measurement of s, or "" if s does not use PostgreSQL. It runs a
// checkpoint first, so that the measurement does not include the cost of earlier writes. After the measurement, the
// caller must call drop, which removes the database unless later measurements use it too.
func (r *run) database(ctx context.Context, s subject) (url string, drop func() error, err error) {
	drop = func() error { return nil }
	switch s {
	case subjectStored:
		url = r.cluster.stored
	case subjectPostgres:
		r.cluster.made++
		name := fmt.Sprintf("round%d", r.cluster.made)
		if url, err = r.cluster.create(ctx, name); err != nil {
			return "", nil, err
		}
		drop = func() error {
			return r.cluster.execute(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		}
	default:
		return "", drop, nil
	}
	return url, drop, r.cluster.execute(ctx, "CHECKPOINT")
}

func (c *cluster) execute(ctx context.Context, statements ...string) (err error) {
	connection, err := pgx.Connect(ctx, c.server.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	for _, s := range statements {
		if _, err := connection.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// startCluster starts a PostgreSQL server and sets r.cluster to it, if any measured program uses PostgreSQL. stored is
// the number of recipients in the prefilled database of the program called stored. The caller must call end, which
// stops the server.
func (r *run) startCluster(ctx context.Context, stored int, progress func(string)) (end func() error, err error) {
	if !slices.ContainsFunc(r.subjects, subject.onPostgres) {
		return func() error { return nil }, nil
	}
	if !slices.Contains(r.subjects, subjectStored) {
		stored = 0
	}
	if err := os.Chmod(r.dir, 0o711); err != nil { // PostgreSQL's account must be able to enter it
		return nil, err
	}
	if r.cluster, err = newCluster(ctx, r.dir, stored, progress); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return func() error { return r.cluster.close(ctx) }, nil
}
