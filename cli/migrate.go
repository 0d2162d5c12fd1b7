package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
)

func migrateCommand() *cobra.Command {
	var distribute bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the PostgreSQL database to this version",
		Long: `Migrate makes or changes the tables of the database that the configuration names, as serve does when it starts unless store.migrate
is false. It is for those who let only a job, with a role of its own, change the schema. Replicas may run meanwhile: a schema
works with the version before it, too. Of several that run at once one does it, and the others wait.

With --distribute it then distributes the tables over the workers of a Citus cluster (store.dialect: citus). What is done already
is not done again.

Exit codes: 0 the schema is of this version, 1 it is not, because something failed or because it is of a newer one, 2 the
arguments or the configuration are wrong.`,
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
		return usageError{fmt.Errorf("store.driver is %s, and only postgres has a schema", c.Store.Driver)}
	case distribute && c.Store.Dialect != config.DialectCitus:
		return usageError{fmt.Errorf("--distribute is for store.dialect: citus, and it is %s", c.Store.Dialect)}
	}
	from, to, err := server.Migrate(ctx, c, distribute)
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted; run it again")
	case err != nil:
		return err
	case from == to:
		fmt.Fprintf(stdout, "The schema is of version %d already.\n", to)
	case from == 0:
		fmt.Fprintf(stdout, "The schema was made, in version %d.\n", to)
	default:
		fmt.Fprintf(stdout, "The schema was changed from version %d to %d.\n", from, to)
	}
	if distribute {
		fmt.Fprintln(stdout, "Its tables are distributed.")
	}
	return nil
}
