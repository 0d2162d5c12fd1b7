package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// mark is what a transaction is found again by. The zero value is that of one that cannot be.
type mark struct {
	id string // empty when it is not known
	// checkpoint is the last one when the transaction was named. A server that crashes forgets the ids of transactions that were not
	// on disk, and gives them to others once it is up again; before that, it makes a checkpoint.
	checkpoint string
	timeline   string // of the server's log. A server that took over without the last commits gives their ids to others, on another timeline
}

const (
	nameTransaction = `SELECT pg_current_xact_id()::text, checkpoint_lsn::text FROM pg_control_checkpoint()`

	askOutcome = `
SELECT coalesce(pg_xact_status($1::text::xid8), ''), left(pg_walfile_name(pg_current_wal_lsn()), 8), checkpoint_lsn::text
FROM pg_control_checkpoint()`

	confirmCommits = `UPDATE replica SET beat = beat WHERE token = $1`
)

// outcomeTime is how long a commit without an answer is asked after. The session that it was in may still be at it.
const outcomeTime = 5 * time.Second

// queueMark has the server name the transaction. It costs no round trip of its own.
func (st *step) queueMark(queue *pgx.Batch, conn *pgx.Conn) {
	timeline, known := conn.PgConn().CustomData()[timelineKey].(string)
	if !known || st.s.config.Dialect != Postgres {
		return
	}
	queue.Queue(nameTransaction).QueryRow(func(row pgx.Row) error {
		st.mark.timeline = timeline
		return row.Scan(&st.mark.id, &st.mark.checkpoint)
	})
}

// findOut is nil when the transaction was committed, a lostError when it was not, and err when that cannot be known.
func (s *Store) findOut(m mark, err error) error {
	if m.id == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(s.committing, outcomeTime)
	defer cancel()
	s.pool.Reset() // what the connection was lost of may concern all
	for ; ctx.Err() == nil; pause(ctx, paceFirst) {
		var outcome, timeline, checkpoint string
		asked := s.pool.QueryRow(ctx, askOutcome, m.id).Scan(&outcome, &timeline, &checkpoint)
		refused, answered := errors.AsType[*pgconn.PgError](asked)
		switch {
		case answered && !ended(refused):
			return fmt.Errorf("%w; what became of it: %w", err, asked)
		case asked != nil:
		case timeline != m.timeline:
			return fmt.Errorf("%w; another server has taken over", err)
		case outcome == "committed" && checkpoint != m.checkpoint:
			return fmt.Errorf("%w; the server may have crashed since", err)
		case outcome == "committed":
			return s.confirm(ctx, err)
		case outcome == "aborted":
			return lostError{err}
		}
	}
	return err
}

// confirm is nil once a commit that was made is where commits are waited for: on disk, and on the servers of
// synchronous_standby_names. A session may have ended in that wait, or been told to end it. A change that is committed later is
// later in the server's log and answered when both are there. err is the error of the commit's lost answer.
func (s *Store) confirm(ctx context.Context, err error) error {
	var changed pgconn.CommandTag
	failed := s.write(ctx, func(tx pgx.Tx) (err error) {
		changed, err = tx.Exec(ctx, confirmCommits, s.replicas.self.token)
		return err
	})
	if failed == nil && changed.RowsAffected() == 0 {
		failed = errors.New("this replica has no row")
	}
	if failed != nil {
		return fmt.Errorf("%w; it was made, but is not known to be safe: %w", err, failed)
	}
	return nil
}
