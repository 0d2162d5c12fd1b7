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

// settings returns the configuration parameters of the benchmark's PostgreSQL server, by name. With them, a commit
// returns only when it is on disk.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "on", "checkpoint_timeout": "15min",
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
	}
}

// cluster is the benchmark's PostgreSQL server. Each measurement uses a new database with empty tables. Only the
// measurements of subjectStored (dlrloop with many stored recipients) share a database, which is filled beforehand.
// Call close to stop the server.
type cluster struct {
	server *pgtest.Server
	made   int
	stored string // URL of the database of the measured program called stored
}

// newCluster starts a PostgreSQL server with its files below directory dir. If recipients is not 0, it also fills a
// database with this number of recipients and calls progress with status messages. The caller must close the cluster.
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

// create creates a database with this name and dlrloop's empty tables in it, and returns its URL.
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

// database returns the URL of the PostgreSQL database for the next measurement of program s, or "" if the program uses
// none. The caller must call drop after the measurement. drop removes the database unless later measurements use it. If
// there is no database, drop does nothing.
func (r *run) database(ctx context.Context, s subject) (url string, drop func() error, err error) {
	drop = func() error { return nil }
	switch s {
	case subjectStored:
		url = r.cluster.stored
	case subjectPostgres, subjectPostgresFeed, subjectPostgresDestination:
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
	return url, drop, r.cluster.execute(ctx, "CHECKPOINT") // so that earlier writes cost the measurement nothing
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

// startCluster starts the PostgreSQL server r.cluster if a program to be measured uses PostgreSQL. If subjectStored is
// to be measured, startCluster also fills a database for it; recipients is the number of recipients to store there. The
// caller must call end, which stops the server. If no server was started, end does nothing.
func (r *run) startCluster(ctx context.Context, recipients int, progress func(string)) (end func() error, err error) {
	if !slices.ContainsFunc(r.subjects, subject.onPostgres) {
		return func() error { return nil }, nil
	}
	if !slices.Contains(r.subjects, subjectStored) {
		recipients = 0
	}
	if err := os.Chmod(r.dir, 0o711); err != nil { // PostgreSQL's account must be able to enter it
		return nil, err
	}
	if r.cluster, err = newCluster(ctx, r.dir, recipients, progress); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return func() error { return r.cluster.close(ctx) }, nil
}
