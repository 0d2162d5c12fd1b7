package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// table holds what PostgreSQL reports about one database table: its size in bytes, its deleted rows (Dead), and how
// often it was vacuumed and updated. InPlace counts the updates that changed no index.
type table struct {
	Name             string
	Bytes, Indexes   int64 // sizes in bytes: of the table without its indexes, and of all its indexes
	Dead, Vacuums    int64
	Updates, InPlace int64
}

const tablesQuery = `
SELECT relname::text, pg_table_size(relid), pg_indexes_size(relid),
    n_dead_tup, autovacuum_count, n_tup_upd, n_tup_hot_upd
FROM pg_stat_user_tables WHERE relname IN ('batch', 'recipient', 'report_log') ORDER BY relname`

func readTables(ctx context.Context, url string) (tables []table, err error) {
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	rows, err := connection.Query(ctx, tablesQuery)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[table])
}

func heading(out io.Writer) {
	fmt.Fprintln(out, "period\treports/s\ttable\tMB\tindexes MB\tdead rows\tautovacuums\tupdates without index\t")
}

func report(out io.Writer, period int, rate float64, tables []table) {
	for _, t := range tables {
		share := "–"
		if t.Updates > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(t.InPlace)/float64(t.Updates))
		}
		fmt.Fprintf(out, "%d\t%.0f\t%s\t%.1f\t%.1f\t%d\t%d\t%s\t\n",
			period, rate, t.Name, float64(t.Bytes)/1e6, float64(t.Indexes)/1e6, t.Dead, t.Vacuums, share)
	}
}
