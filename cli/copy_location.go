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

// location says where a store is. dir is the directory of a bolt store and empty for PostgreSQL; url is the URL of a
// PostgreSQL database and empty for a bolt store.
type location struct {
	dir string
	url string
}

// parseLocation parses the value of a flag that names a store: bolt:DIRECTORY, postgres:URL, or postgres:@FILE, where
// FILE contains the URL. It does not open the store. The argument flag, such as "--from", begins the text of an error.
// Every error is a usageError.
func parseLocation(flag, given string) (location, error) {
	kind, where, found := strings.Cut(given, ":")
	switch {
	case given == "":
		return location{}, usageError{fmt.Errorf("%s is required: bolt:DIRECTORY, postgres:URL or postgres:@FILE", flag)}
	case found && kind == "bolt" && where != "":
		return location{dir: where}, nil
	case found && kind == "postgres" && strings.HasPrefix(where, "//"):
		return databaseLocation(flag, given)
	case found && kind == "postgres" && strings.HasPrefix(where, "@"):
		content, err := readFile(where[1:])
		if err != nil {
			return location{}, usageError{fmt.Errorf("%s: %w", flag, err)}
		}
		where = strings.TrimSpace(string(content))
		if where == "" {
			return location{}, usageError{fmt.Errorf("%s: the file is empty", flag)}
		}
		return databaseLocation(flag, where)
	case found && kind == "postgres" && where != "":
		return databaseLocation(flag, where)
	}
	return location{}, usageError{fmt.Errorf("%s must be bolt:DIRECTORY, postgres:URL or postgres:@FILE", flag)}
}

func databaseLocation(flag, url string) (location, error) {
	if _, err := pgstore.ParseURL(url); err != nil {
		return location{}, usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return location{url: url}, nil
}

// String returns the location for output: "bolt:" and the directory, or a URL with only the host and the name of the
// database, without user and password. If p.url has no host, it returns "the database".
func (p location) String() string {
	if p.dir != "" {
		return "bolt:" + p.dir
	}
	if u, err := url.Parse(p.url); err == nil && u.Host != "" {
		return "postgres://" + u.Host + u.Path
	}
	return "the database"
}

func (p location) source(ctx context.Context, c *config.Config) (copying.Source, error) {
	if p.dir == "" {
		return pgstore.OpenSource(ctx, p.postgres(c))
	}
	of := boltstore.Config{Path: p.dir}
	if c != nil {
		of.Policies = server.Policies(c)
	}
	s, err := boltstore.OpenSource(ctx, of)
	if errors.Is(err, boltstore.ErrUnfolded) && c == nil {
		return nil, advised{err, "name the configuration of this store with --config, or start dlrloop on it and " +
			"stop it gracefully"}
	}
	return s, err
}

func (p location) sink(ctx context.Context, c *config.Config) (copying.Sink, error) {
	if p.dir == "" {
		return pgstore.OpenSink(ctx, p.postgres(c))
	}
	return boltstore.OpenSink(boltstore.Config{Path: p.dir})
}

// postgres returns the options for opening the PostgreSQL database at p.url. If c is the configuration of a PostgreSQL
// store, its dialect, its number of slots (hash partitions) and its store.migrate apply. Otherwise these three options
// have their defaults; c may be nil.
func (p location) postgres(c *config.Config) pgstore.Config {
	of := pgstore.Config{URL: p.url, Replica: "copy"}
	if c != nil && c.Store.Driver == config.DriverPostgres {
		of.Dialect, of.Slots, of.NoMigrate = c.Store.Dialect, c.Store.Slots, !c.Store.Migrate
	}
	return of
}
