package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// commitMarker identifies a transaction, so that commitOutcome can ask the server whether it was committed. The zero
// value means that the server cannot be asked.
type commitMarker struct {
	id string // transaction id; empty if unknown
	// checkpoint is the position of the last checkpoint when the marker was read. A server that crashes forgets
	// transaction ids that were not on disk and assigns them again after recovery. Recovery ends with a checkpoint,
	// so an unchanged position proves that the id was not reused.
	checkpoint string
	// timeline of the server's write-ahead log. After a failover that lost commits, their ids are reused on another
	// timeline.
	timeline string
}

const (
	readCommitMarker = `SELECT pg_current_xact_id()::text, checkpoint_lsn::text FROM pg_control_checkpoint()`

	readOutcome = `
SELECT coalesce(pg_xact_status($1::text::xid8), ''), left(pg_walfile_name(pg_current_wal_lsn()), 8), checkpoint_lsn::text
FROM pg_control_checkpoint()`

	confirmCommits = `UPDATE replica SET beat = beat WHERE token = $1`
)

// outcomeTimeout is how long commitOutcome tries to get an answer. The session of the lost commit may still be
// committing.
const outcomeTimeout = 5 * time.Second

// queueCommitMarker adds a statement that reads the commit marker. It shares a round trip with the other statements
// of queue.
func (st *step) queueCommitMarker(queue *pgx.Batch, conn *pgx.Conn) {
	timeline, known := conn.PgConn().CustomData()[timelineKey].(string)
	if !known || st.s.config.Dialect != Postgres {
		return
	}
	queue.Queue(readCommitMarker).QueryRow(func(row pgx.Row) error {
		st.marker.timeline = timeline
		return row.Scan(&st.marker.id, &st.marker.checkpoint)
	})
}

// commitOutcome asks the server whether the transaction of m was committed. It returns nil if it was, a lostError if
// it was not, and err with a reason if that cannot be determined.
func (s *Store) commitOutcome(m commitMarker, err error) error {
	if m.id == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(s.commitCtx, outcomeTimeout)
	defer cancel()
	s.pool.Reset() // what broke this connection may have broken all of them
	for ; ctx.Err() == nil; pause(ctx, firstBackoff) {
		var outcome, timeline, checkpoint string
		asked := s.pool.QueryRow(ctx, readOutcome, m.id).Scan(&outcome, &timeline, &checkpoint)
		refused, answered := errors.AsType[*pgconn.PgError](asked)
		switch {
		case answered && !endsSession(refused):
			return fmt.Errorf("%w; outcome: %w", err, asked)
		case asked != nil:
		case timeline != m.timeline:
			return fmt.Errorf("%w; another server has taken over", err)
		case outcome == "committed" && checkpoint != m.checkpoint:
			return fmt.Errorf("%w; the server may have crashed since", err)
		case outcome == "committed":
			return s.confirmDurable(ctx, err)
		case outcome == "aborted":
			return lostError{err}
		}
	}
	return err
}

// confirmDurable makes another commit and returns nil if that succeeds. It is called for a transaction that is
// committed but was not confirmed, so it may not be on disk or on the servers of synchronous_standby_names yet. The
// new commit is later in the write-ahead log, so the server confirms it only when both are there. err is the error of
// the unconfirmed commit; confirmDurable wraps it if the new commit fails.
func (s *Store) confirmDurable(ctx context.Context, err error) error {
	var changed pgconn.CommandTag
	failed := s.write(ctx, func(tx pgx.Tx) (err error) {
		changed, err = tx.Exec(ctx, confirmCommits, s.replicas.self.token)
		return err
	})
	if failed == nil && changed.RowsAffected() == 0 {
		failed = errors.New("this replica has no row")
	}
	if failed != nil {
		return fmt.Errorf("%w; it is committed, but may not be durable: %w", err, failed)
	}
	return nil
}
