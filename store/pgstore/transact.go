package pgstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of the retries of a transaction.
const (
	// maxTries is the maximum number of runs of a transaction that fails and is certainly rolled back each time.
	maxTries = 20
	// reconnectTimeout is how long a group waits for an unreachable database: longer than most restarts and
	// failovers. Only the first group waits; after its failure each later group makes one attempt, until a commit
	// succeeds.
	reconnectTimeout = 3 * time.Second
)

// errHidden means that a batch of the transaction is hidden because retention is deleting it, or that retention deleted
// its row before the transaction could lock the row.
var errHidden = errors.New("retention is deleting the batch")

// unreachableError means that the pool could not provide a connection to the database. Nothing was committed.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

// lostError means that the connection was lost and the transaction is certainly rolled back.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// unknownError means that the connection was lost after COMMIT was sent, so the transaction may be committed.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

func (e unknownError) Error() string { return "commit not confirmed: " + e.error.Error() }

// transact runs the transaction of a group, repeats it after retryable failures, and returns the run that succeeded. It
// also repeats a run whose COMMIT was not confirmed: if that run was committed after all, the arrivals now count as
// duplicates. After maxTries failures or 2*StatementTimeout it gives up and returns the last error.
func (s *Store) transact(group []recorded) (*step, error) {
	begin, failing := time.Now(), s.commitBackoff.failureCount() > 0
	ctx, cancel := context.WithTimeout(s.commitCtx, 2*s.config.StatementTimeout)
	defer cancel()
	var unconfirmed []*step // the runs whose COMMIT was not confirmed
	for try := 1; ; {
		st := newStep(s, group)
		err := s.runStep(ctx, st)
		st.stream.ran(st, err)
		st.addCommitted(unconfirmed)
		_, unknown := errors.AsType[unknownError](err)
		if unknown {
			unconfirmed = append(unconfirmed, st)
		}
		if err == nil {
			return st, nil
		}
		if errors.Is(err, errHidden) && len(st.hidden) > 0 {
			if !group[0].slow {
				return st, errSlow
			}
			if err := s.deleteHidden(ctx, st.hidden); err != nil {
				return nil, err
			}
		}
		s.resetPool(err)
		if _, unreachable := errors.AsType[unreachableError](err); unreachable {
			if failing || time.Since(begin) > reconnectTimeout || ctx.Err() != nil {
				return nil, err
			}
			continue // the gate of the pool delays the next attempt
		}
		if !unknown && !retryable(err) && !isStreamConflict(err) || try == maxTries || ctx.Err() != nil {
			return nil, err
		}
		pause(ctx, retryDelay(try))
		try++
	}
}

// runStep runs the transaction of st once, in two round trips: BEGIN with the reads, then the writes with COMMIT. With
// events it first prepares the stream, which rarely needs a round trip. It returns the same kinds of errors as write,
// or errHidden.
func (s *Store) runStep(ctx context.Context, st *step) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachableError{err}
	}
	defer pooled.Release()
	conn := pooled.Conn()
	if st.events {
		err = st.prepareStream(ctx, conn)
	}
	if err == nil {
		err = st.load(ctx, conn)
	}
	if err == nil && !conn.IsClosed() {
		st.fold()
		if err = st.save(ctx, conn); err == nil {
			if !st.trial {
				s.rowCache.add(st.batches)
			}
			return replicationError(conn)
		}
		if conn.IsClosed() || conn.PgConn().TxStatus() == txIdle {
			return commitError(err)
		}
	}
	_, _ = conn.Exec(ctx, `ROLLBACK`) // if this fails, pgx closes the connection
	if conn.IsClosed() {
		return lostError{cmp.Or(err, pgconn.ErrConnClosed)}
	}
	return err
}

// txIdle is the transaction status that PostgreSQL reports for a session outside a transaction.
const txIdle = 'I'

// write runs change in a transaction and commits it, without retries. It returns an unreachableError, a lostError, an
// unknownError, or errReplicationWaitCanceled if the commit may be missing on the standbys. After any other error the
// transaction is rolled back.
func (s *Store) write(ctx context.Context, change func(pgx.Tx) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachableError{err}
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, s.config.Dialect.options())
	if err == nil {
		if err = change(tx); err == nil && !conn.Conn().IsClosed() {
			return cmp.Or(commitError(tx.Commit(ctx)), replicationError(conn.Conn()))
		}
		_ = tx.Rollback(ctx) // if this fails, pgx closes the connection
	}
	if conn.Conn().IsClosed() {
		return lostError{cmp.Or(err, pgconn.ErrConnClosed)}
	}
	return err
}

// commitError classifies err, the error of COMMIT or of statements sent together with COMMIT. If the server refused a
// statement, the transaction is certainly rolled back, and commitError returns err unchanged. Otherwise it returns an
// unknownError: a server that ends the session may have committed before. pgconn.SafeToRetry is not reliable here: if a
// second read fails on the lost connection, it reports true although COMMIT was sent.
func commitError(err error) error {
	refused, answered := errors.AsType[*pgconn.PgError](err)
	if err == nil || answered && !endsSession(refused) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	return unknownError{err}
}

// replicationError returns errReplicationWaitCanceled if the server answered the last commit on conn before the
// synchronous standbys confirmed it, else nil.
func replicationError(conn *pgx.Conn) error {
	if _, short := conn.PgConn().CustomData()[waitCanceledKey]; !short {
		return nil
	}
	delete(conn.PgConn().CustomData(), waitCanceledKey)
	return errReplicationWaitCanceled
}

// endsSession reports whether the server also ended the session with this error: it was fatal, not an ordinary ERROR.
func endsSession(refused *pgconn.PgError) bool {
	return refused.SeverityUnlocalized != "ERROR" && refused.Severity != "ERROR"
}

// retryableCodes are the SQLSTATE codes after which a transaction is run again: serialization failure, deadlock, and
// read-only transaction. After a read-only transaction, the next run goes to the new primary server.
var retryableCodes = []string{"40001", "40P01", readOnlyCode}

// readOnlyCode is the SQLSTATE code with which a read-only server refuses a write.
const readOnlyCode = "25006"

// retryable reports whether err means that the transaction was rolled back and may succeed if it is run again.
func retryable(err error) bool {
	if _, lost := errors.AsType[lostError](err); lost || errors.Is(err, errHidden) {
		return true
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(retryableCodes, refused.Code)
}

// isDataError reports whether the database refused the values in a transaction, so that every retry will fail.
func isDataError(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code[:2] {
		case "22", "23", "54": // data exception, integrity constraint violation, program limit exceeded
			return true
		}
	}
	return false
}

// resetPool closes all pooled connections if err shows that their server is gone, or is read-only because another
// server has become the primary. It ignores a failed attempt to connect, since the open connections may still work.
func (s *Store) resetPool(err error) {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	_, lost := errors.AsType[lostError](err)
	_, unknown := errors.AsType[unknownError](err)
	if lost || unknown || ok && (endsSession(refused) || refused.Code == readOnlyCode) {
		s.pool.Reset()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
