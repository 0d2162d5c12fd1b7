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

// Dialect says what kind of database it is.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres" // PostgreSQL
	Citus    Dialect = "citus"    // PostgreSQL distributed by Citus: a transaction stays in one slot
	Portable Dialect = "portable" // the same without SKIP LOCKED, for databases that speak PostgreSQL's protocol
)

// distribution distributes the tables over the workers of a Citus cluster. What is distributed already stays as it is.
//
//go:embed citus.sql
var distribution string

func (d Dialect) check() error {
	switch d {
	case Postgres, Citus, Portable:
		return nil
	}
	return fmt.Errorf("dialect %q is not known: it is %s, %s or %s", string(d), Postgres, Citus, Portable)
}

// oneSlot reports whether a transaction must not leave its slot: another one may lie on another machine.
func (d Dialect) oneSlot() bool { return d == Citus || d == Portable }

// options are those of transactions that change rows. Each of their statements has to see what those before it waited for, or to
// fail. Serializable does for that, too, and some databases have nothing else.
func (d Dialect) options() pgx.TxOptions {
	if d == Portable {
		return pgx.TxOptions{}
	}
	return pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
}

// begin begins one of them.
func (d Dialect) begin() string {
	if d == Portable {
		return `BEGIN`
	}
	return `BEGIN ISOLATION LEVEL READ COMMITTED`
}

// within is a transaction as the dialect needs it.
func (d Dialect) within(tx pgx.Tx) pgx.Tx {
	if d.oneSlot() {
		return slotTx{tx}
	}
	return tx
}

// slotTx is a transaction of one slot. Its statements name the slot as a plain parameter, so that a distributed database knows
// which shard to ask before it has read anything.
type slotTx struct{ pgx.Tx }

func (t slotTx) SendBatch(ctx context.Context, queue *pgx.Batch) pgx.BatchResults {
	narrow(queue)
	return t.Tx.SendBatch(ctx, queue)
}

func (t slotTx) Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	return t.Tx.Query(ctx, ofOneSlot(sql, arguments), arguments...)
}

func (t slotTx) Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	return t.Tx.Exec(ctx, ofOneSlot(sql, arguments), arguments...)
}

// narrow has each statement of a queue, whose rows have one slot, name it as a plain parameter.
func narrow(queue *pgx.Batch) {
	for _, q := range queue.QueuedQueries {
		q.SQL = ofOneSlot(q.SQL, q.Arguments)
	}
}

// ofOneSlot is a statement for rows of one slot, when it is one whose first argument are the slots of rows that come from an
// unnest: the argument becomes the slot.
func ofOneSlot(sql string, arguments []any) string {
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
