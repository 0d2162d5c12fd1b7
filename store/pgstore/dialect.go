package pgstore

import (
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Dialect names the kind of database behind the PostgreSQL protocol. It decides which form of an SQL statement runs
// and what a transaction may cover.
type Dialect string

// The values of Config.Dialect and of the setting store.dialect. Config treats the empty Dialect as Postgres.
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

// Check returns an error that lists the valid values unless d is Postgres, Citus or Portable.
func (d Dialect) Check() error {
	switch d {
	case Postgres, Citus, Portable:
		return nil
	}
	return fmt.Errorf("%q is not a valid value; use %s, %s or %s", string(d), Postgres, Citus, Portable)
}

// oneSlot reports whether every transaction must stay in one slot, because other slots may be on other machines.
func (d Dialect) oneSlot() bool { return d == Citus || d == Portable }

// options returns the options of transactions that change rows. The isolation level is read committed, so that a
// statement which waited for a lock reads the changes of the other transaction. With Portable it is the default of
// the database, which may be serializable only: the statement then fails and is retried.
func (d Dialect) options() pgx.TxOptions {
	if d == Portable {
		return pgx.TxOptions{}
	}
	return pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
}

// begin returns the statement that begins a transaction with the isolation level of options.
func (d Dialect) begin() string {
	if d == Portable {
		return `BEGIN`
	}
	return `BEGIN ISOLATION LEVEL READ COMMITTED`
}

// keyedSQL is an SQL statement over rows whose keys come from unnest. Its first parameter is an array with the slot
// of each row. The generated map oneSlot holds the form for rows that are all in slot $1, because a distributed
// database plans with a plain parameter to find the shard.
type keyedSQL string

//go:generate go run ./sqlforms

// keyed returns the form of statement q to run, and its arguments. slots holds the slot of each row, others the
// arguments of the other parameters. With Citus and Portable keyed selects the form for one slot if all slots are
// equal.
func (s *Store) keyed(q keyedSQL, slots []int16, others ...any) (sql string, arguments []any) {
	other := func(slot int16) bool { return slot != slots[0] }
	if !s.config.Dialect.oneSlot() || len(slots) == 0 || slices.ContainsFunc(slots, other) {
		return string(q), append([]any{slots}, others...)
	}
	return oneSlot[q], append([]any{slots[0]}, others...)
}

// queue adds statement q to queue, in the form that keyed selects for slots and others.
func (s *Store) queue(queue *pgx.Batch, q keyedSQL, slots []int16, others ...any) *pgx.QueuedQuery {
	sql, arguments := s.keyed(q, slots, others...)
	return queue.Queue(sql, arguments...)
}
