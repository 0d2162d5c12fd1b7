package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func migrateCommand() *cobra.Command {
	var distribute bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Migrate the schema of the PostgreSQL database to this version",
		Long: `Migrate creates or changes the tables of the configured database, as serve does at startup unless
store.migrate is false. Use it if only a job with a role of its own may change the schema. Replicas may keep
running: the previous version works with the new schema. If several migrations run at once, one does the work
and the others wait.

With --distribute it then distributes the tables over the workers of a Citus cluster (store.dialect: citus).
It skips steps that are already done.

Exit codes: 0 the schema has this version, 1 it does not (the migration failed, or the schema is newer), 2 the
arguments or the configuration are invalid.`,
		Example: `  dlrloop migrate --config /etc/dlrloop/config.yaml

  # with the URL of a role that may create tables
  DLRLOOP_STORE_URL=postgres://owner@db.example/dlrloop?sslmode=verify-full dlrloop migrate`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	c.Flags().BoolVar(&distribute, "distribute", false, "distribute the tables over the workers of a Citus cluster")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := config.Load(*path, environ())
		if err != nil {
			return err
		}
		return migrate(c.Context(), loaded, distribute, c.OutOrStdout())
	}
	return c
}

func migrate(ctx context.Context, c *config.Config, distribute bool, stdout io.Writer) error {
	switch {
	case c.Store.Driver != config.DriverPostgres:
		return usageError{fmt.Errorf("store.driver is %s, but only postgres has a schema", c.Store.Driver)}
	case distribute && c.Store.Dialect != pgstore.Citus:
		return usageError{fmt.Errorf("--distribute needs store.dialect: citus, but it is %s", c.Store.Dialect)}
	}
	from, to, err := server.Migrate(ctx, c, distribute)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; run the command again")
	case err != nil:
		return err
	case from == to:
		fmt.Fprintf(stdout, "The schema already has version %d.\n", to)
	case from == 0:
		fmt.Fprintf(stdout, "Created the schema, version %d.\n", to)
	default:
		fmt.Fprintf(stdout, "Migrated the schema from version %d to %d.\n", from, to)
	}
	if distribute {
		fmt.Fprintln(stdout, "The tables are distributed.")
	}
	return nil
}
