package pgstore

import (
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Dialect names the kind of database behind the PostgreSQL protocol. It decides which form of an SQL statement runs,
// and whether a transaction may span several slots (hash partitions).
type Dialect string

// The values of Dialect, which the configuration key store.dialect has as well. An empty Config.Dialect means Postgres.
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

// Check returns nil if d is one of the constants above, else an error that lists them. It rejects the empty Dialect.
func (d Dialect) Check() error {
	switch d {
	case Postgres, Citus, Portable:
		return nil
	}
	return fmt.Errorf("%q is not a valid value; use %s, %s or %s", string(d), Postgres, Citus, Portable)
}

// oneSlot reports whether a transaction must stay in one slot (hash partition), as slots may be on different machines.
func (d Dialect) oneSlot() bool { return d == Citus || d == Portable }

// options returns the options of transactions that change rows. Their isolation level is read committed: a statement
// that waited for a lock then reads what the other transaction wrote. With Portable the level is the database's
// default, which may be serializable: such a statement then fails, and the transaction is retried.
func (d Dialect) options() pgx.TxOptions {
	if d == Portable {
		return pgx.TxOptions{}
	}
	return pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
}

// begin returns the SQL statement that begins a transaction with the same isolation level as the method options.
func (d Dialect) begin() string {
	if d == Portable {
		return `BEGIN`
	}
	return `BEGIN ISOLATION LEVEL READ COMMITTED`
}

// keyedSQL is an SQL statement on rows with given keys. It takes one array per key column; $1 holds the slots (hash
// partitions). The generated map oneSlot holds a second form of each statement, in which $1 is the one slot of all
// rows: a distributed database finds the machine of a slot only if the slot is a parameter of its own.
type keyedSQL string

//go:generate go run ./sqlforms

// keyed returns the form of statement q to run, and its arguments: first slots, which holds the slot of each row, then
// others. With Citus and Portable it selects the form for one slot if all slots are equal.
func (s *Store) keyed(q keyedSQL, slots []int16, others ...any) (sql string, arguments []any) {
	other := func(slot int16) bool { return slot != slots[0] }
	if !s.config.Dialect.oneSlot() || len(slots) == 0 || slices.ContainsFunc(slots, other) {
		return string(q), append([]any{slots}, others...)
	}
	return oneSlot[q], append([]any{slots[0]}, others...)
}

// queue adds statement q to queue, with the form and the arguments that keyed returns.
func (s *Store) queue(queue *pgx.Batch, q keyedSQL, slots []int16, others ...any) *pgx.QueuedQuery {
	sql, arguments := s.keyed(q, slots, others...)
	return queue.Queue(sql, arguments...)
}
