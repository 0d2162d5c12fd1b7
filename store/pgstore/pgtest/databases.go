package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// databases creates and drops the test databases of one server. It is safe for concurrent use.
type databases struct {
	admin url.URL // the database to connect to for CREATE and DROP DATABASE
	// set for every database; empty for a throwaway server, which has them in its configuration
	settings map[string]string
	prepare  func(ctx context.Context, url string) error

	once     sync.Once
	template string // URL of the prepared database; empty if there is none
	err      error
}

// create creates a database and returns its URL. The database is a copy of the template database (see createTemplate),
// or empty if Config.Prepare is nil.
func (d *databases) create(ctx context.Context) (string, error) {
	if d.prepare == nil {
		return d.make(ctx, "")
	}
	d.once.Do(func() { d.err = d.createTemplate(ctx) })
	if d.err != nil {
		return "", d.err
	}
	return d.make(ctx, d.template)
}

// createTemplate creates the template database and calls Config.Prepare on it. All other databases are copies of it.
func (d *databases) createTemplate(ctx context.Context) error {
	address, err := d.make(ctx, "")
	if err != nil {
		return err
	}
	d.template = address
	if err := d.prepare(ctx, address); err != nil {
		return fmt.Errorf("prepare the template database: %w", err)
	}
	return nil
}

// make creates a database and returns its URL. The database is a copy of the one whose URL is template, or empty if
// template is empty.
func (d *databases) make(ctx context.Context, template string) (string, error) {
	address := d.admin
	address.Path = "/dlrloop_test_" + strings.ToLower(rand.Text())
	address.RawPath = ""
	name := quoted(address)
	create := "CREATE DATABASE " + name
	if template != "" {
		of, err := url.Parse(template)
		if err != nil {
			return "", err
		}
		create += " TEMPLATE " + quoted(*of)
	}
	statements := []string{create}
	for _, setting := range slices.Sorted(maps.Keys(d.settings)) {
		value := strings.ReplaceAll(d.settings[setting], "'", "''")
		statements = append(statements,
			fmt.Sprintf("ALTER DATABASE %s SET %s = '%s'", name, pgx.Identifier{setting}.Sanitize(), value))
	}
	if err := d.execute(ctx, statements...); err != nil {
		return "", fmt.Errorf("create a test database: %w", err)
	}
	return address.String(), nil
}

// drop drops the database whose URL is address, even if clients are still connected.
func (d *databases) drop(ctx context.Context, address string) error {
	of, err := url.Parse(address)
	if err != nil {
		return err
	}
	if err := d.execute(ctx, "DROP DATABASE IF EXISTS "+quoted(*of)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop a test database: %w", err)
	}
	return nil
}

// close drops the template database, if there is one.
func (d *databases) close(ctx context.Context) error {
	if d.template == "" {
		return nil
	}
	return d.drop(ctx, d.template)
}

// execute runs statements on a new connection to the admin database. It then closes the connection, because PostgreSQL
// cannot copy a database that has connections.
func (d *databases) execute(ctx context.Context, statements ...string) (err error) {
	connection, err := pgx.Connect(ctx, d.admin.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// quoted returns the name of the database in the URL address, quoted as an SQL identifier.
func quoted(address url.URL) string {
	return pgx.Identifier{strings.TrimPrefix(address.Path, "/")}.Sanitize()
}
