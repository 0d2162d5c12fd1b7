package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// copyPlace is where a store is: a folder or a database.
type copyPlace struct {
	folder string
	url    string
}

// parsePlace reads what --from and --to are given.
func parsePlace(flag, given string) (copyPlace, error) {
	kind, where, found := strings.Cut(given, ":")
	switch {
	case given == "":
		return copyPlace{}, usageError{fmt.Errorf("%s is needed: bolt:FOLDER, postgres:URL or postgres:@FILE", flag)}
	case found && kind == "bolt" && where != "":
		return copyPlace{folder: where}, nil
	case found && kind == "postgres" && strings.HasPrefix(where, "//"):
		return databasePlace(flag, given)
	case found && kind == "postgres" && strings.HasPrefix(where, "@"):
		content, err := readFile(where[1:])
		if err != nil {
			return copyPlace{}, usageError{fmt.Errorf("%s: %w", flag, err)}
		}
		where = strings.TrimSpace(string(content))
		if where == "" {
			return copyPlace{}, usageError{fmt.Errorf("%s: the file is empty", flag)}
		}
		return databasePlace(flag, where)
	case found && kind == "postgres" && where != "":
		return databasePlace(flag, where)
	}
	return copyPlace{}, usageError{fmt.Errorf("%s must be bolt:FOLDER, postgres:URL or postgres:@FILE", flag)}
}

func databasePlace(flag, url string) (copyPlace, error) {
	if _, err := config.ReadDatabase(config.Secret(url), environ()); err != nil {
		return copyPlace{}, usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return copyPlace{url: url}, nil
}

// String names the place without a password.
func (p copyPlace) String() string {
	if p.folder != "" {
		return "bolt:" + p.folder
	}
	if u, err := url.Parse(p.url); err == nil && u.Host != "" {
		return "postgres://" + u.Host + u.Path
	}
	return "the database"
}

func (p copyPlace) source(ctx context.Context, c *config.Config) (copying.Source, error) {
	if p.folder == "" {
		return pgstore.OpenSource(ctx, p.postgres(c))
	}
	of := boltstore.Config{Path: p.folder}
	if c != nil {
		of.Policies = server.Policies(c)
	}
	s, err := boltstore.OpenSource(ctx, of)
	if errors.Is(err, boltstore.ErrUnfolded) && c == nil {
		return nil, advised{err, "name the configuration that it was served with, with --config; or start it and stop it in order"}
	}
	return s, err
}

func (p copyPlace) sink(ctx context.Context, c *config.Config) (copying.Sink, error) {
	if p.folder == "" {
		return pgstore.OpenSink(ctx, p.postgres(c))
	}
	return boltstore.OpenSink(boltstore.Config{Path: p.folder})
}

// postgres takes from a configuration what kind of database it is, and how its schema is made.
func (p copyPlace) postgres(c *config.Config) pgstore.Config {
	of := pgstore.Config{URL: p.url, Replica: "copy"}
	if c != nil && c.Store.Driver == config.DriverPostgres {
		of.Dialect, of.Slots, of.NoMigrate = pgstore.Dialect(c.Store.Dialect), c.Store.Slots, !c.Store.Migrate
	}
	return of
}
