package pgstore

import (
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
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

// Check returns an error if d is not one of the dialects.
func (d Dialect) Check() error {
	switch d {
	case Postgres, Citus, Portable:
		return nil
	}
	return fmt.Errorf("%q is not a valid value; use %s, %s or %s", string(d), Postgres, Citus, Portable)
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

// keyedSQL is a statement over rows whose keys come from unnest. Its first parameter is an array with the slot of each
// row. oneSlot holds the form in which all rows are in slot $1: a distributed database derives the shard from a plain
// parameter while it plans.
type keyedSQL string

//go:generate go run ./sqlforms

// keyed returns the form of a statement for rows in these slots, and its arguments. In the dialects Citus and Portable
// it selects the form for one slot if all slots are equal.
func (s *Store) keyed(q keyedSQL, slots []int16, others ...any) (sql string, arguments []any) {
	other := func(slot int16) bool { return slot != slots[0] }
	if !s.config.Dialect.oneSlot() || len(slots) == 0 || slices.ContainsFunc(slots, other) {
		return string(q), append([]any{slots}, others...)
	}
	return oneSlot[q], append([]any{slots[0]}, others...)
}

// queue adds the form of a statement for rows in these slots to queue.
func (s *Store) queue(queue *pgx.Batch, q keyedSQL, slots []int16, others ...any) *pgx.QueuedQuery {
	sql, arguments := s.keyed(q, slots, others...)
	return queue.Queue(sql, arguments...)
}
