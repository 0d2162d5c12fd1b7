package pgstore

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Dialect names the kind of database behind the PostgreSQL protocol.
type Dialect string

// The dialects. The zero value of Config.Dialect means Postgres.
const (
	Postgres Dialect = "postgres" // PostgreSQL on one server
	Citus    Dialect = "citus"    // PostgreSQL distributed by Citus: every transaction stays in one slot
	Portable Dialect = "portable" // other databases with PostgreSQL's protocol: like Citus, but without SKIP LOCKED
)

// distribution is the SQL script that distributes the tables over the workers of a Citus cluster. It skips tables
// that are already distributed.
//
//go:embed citus.sql
var distribution string

func (d Dialect) check() error {
	switch d {
	case Postgres, Citus, Portable:
		return nil
	}
	return fmt.Errorf("unknown dialect %q: use %s, %s or %s", string(d), Postgres, Citus, Portable)
}

// oneSlot reports whether every transaction must stay in one slot, because other slots may be on other machines.
func (d Dialect) oneSlot() bool { return d == Citus || d == Portable }

// options returns the options of transactions that change rows. After waiting for a lock, a statement must see the
// other transaction's changes (read committed) or fail (serializable, the only level of some databases).
func (d Dialect) options() pgx.TxOptions {
	if d == Portable {
		return pgx.TxOptions{}
	}
	return pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
}

// begin returns the statement that begins such a transaction.
func (d Dialect) begin() string {
	if d == Portable {
		return `BEGIN`
	}
	return `BEGIN ISOLATION LEVEL READ COMMITTED`
}

// within wraps tx so that its statements suit the dialect.
func (d Dialect) within(tx pgx.Tx) pgx.Tx {
	if d.oneSlot() {
		return slotTx{tx}
	}
	return tx
}

// slotTx is a transaction whose statements all concern one slot. It passes the slot as a plain parameter, from which
// a distributed database derives the shard while planning.
type slotTx struct{ pgx.Tx }

func (t slotTx) SendBatch(ctx context.Context, queue *pgx.Batch) pgx.BatchResults {
	useOneSlot(queue)
	return t.Tx.SendBatch(ctx, queue)
}

func (t slotTx) Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	return t.Tx.Query(ctx, oneSlotSQL(sql, arguments), arguments...)
}

func (t slotTx) Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	return t.Tx.Exec(ctx, oneSlotSQL(sql, arguments), arguments...)
}

// useOneSlot rewrites the statements of a queue with oneSlotSQL.
func useOneSlot(queue *pgx.Batch) {
	for _, q := range queue.QueuedQueries {
		q.SQL = oneSlotSQL(q.SQL, q.Arguments)
	}
}

// oneSlotSQL rewrites a statement that reads its keys from unnest, with the slots as first argument, if all slots are
// equal: the first argument becomes that one slot. It returns all other statements unchanged.
func oneSlotSQL(sql string, arguments []any) string {
	if len(arguments) == 0 {
		return sql
	}
	slots, ok := arguments[0].([]int16)
	if !ok || len(slots) == 0 || slices.ContainsFunc(slots, func(slot int16) bool { return slot != slots[0] }) {
		return sql
	}
	arguments[0] = slots[0]
	return toOneSlot.Replace(sql)
}

var toOneSlot = strings.NewReplacer(
	"unnest($1::smallint[], ", "unnest(",
	" k (slot, ", " k (",
	"SELECT slot, ", "SELECT $1::smallint, ",
	"= k.slot", "= $1",
)
