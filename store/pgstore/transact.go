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

const (
	// tries is how often a transaction that was surely undone is begun.
	tries = 20
	// patience is how long a group waits for a database that cannot be reached: most restarts and fail-overs take no longer. Only
	// the first waits: when it has failed, those after it make one attempt each.
	patience = 3 * time.Second
)

// errGone means that retention is deleting a batch, or did so between its being named and being locked.
var errGone = errors.New("the batch is expiring")

// unreachableError means that there was no connection to be had.
type unreachableError struct{ error }

func (e unreachableError) Unwrap() error { return e.error }

// lostError means that the connection was lost while nothing was committed yet.
type lostError struct{ error }

func (e lostError) Unwrap() error { return e.error }

// unknownError means that the answer to a COMMIT was lost: it may have been done.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

func (e unknownError) Error() string { return "no answer to the commit: " + e.error.Error() }

// transact runs the transaction of a group, again when it was surely undone and that may end. When the answer to its COMMIT was lost it finds
// out what became of it. What is not known to be done after twice the time of a statement is answered as failed.
func (s *Store) transact(group []recorded) (*step, error) {
	begin, failing := time.Now(), s.commits.at() > 0
	ctx, cancel := context.WithTimeout(s.committing, 2*s.config.StatementTimeout)
	defer cancel()
	for try := 1; ; {
		st := newStep(s, group)
		err := s.runStep(ctx, st)
		if _, unknown := errors.AsType[unknownError](err); unknown {
			err = s.findOut(st.mark, err)
		}
		if err == nil {
			return st, nil
		}
		if errors.Is(err, errGone) && len(st.gone) > 0 {
			if !group[0].slow {
				return st, errSlow
			}
			if err := s.sweep(ctx, st.gone); err != nil {
				return nil, err
			}
		}
		s.renew(err)
		if _, unreachable := errors.AsType[unreachableError](err); unreachable {
			if failing || time.Since(begin) > patience || ctx.Err() != nil {
				return nil, err
			}
			continue // at the gate's pace
		}
		if !undone(err) || try == tries || ctx.Err() != nil {
			return nil, err
		}
		pause(ctx, backoff(try))
		try++
	}
}

// runStep runs the transaction of a step in two round trips: it begins with what it reads and is committed with what it writes. Its error
// is one that write may return.
func (s *Store) runStep(ctx context.Context, st *step) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachableError{err}
	}
	defer pooled.Release()
	conn := pooled.Conn()
	if err = st.load(ctx, conn); err == nil && !conn.IsClosed() {
		st.fold()
		if err = st.save(ctx, conn); err == nil {
			if !st.trial {
				s.known.add(st.batches)
			}
			return waited(conn)
		}
		if conn.IsClosed() || conn.PgConn().TxStatus() == outside {
			return committing(err)
		}
	}
	_, _ = conn.Exec(ctx, `ROLLBACK`) // a connection that cannot is closed
	if conn.IsClosed() {
		return lostError{cmp.Or(err, pgconn.ErrConnClosed)}
	}
	return err
}

// outside is how the server says that a session is in no transaction.
const outside = 'I'

// write runs a transaction that changes rows. Its error is an
// unreachableError, a lostError, an unknownError, or says by itself that nothing was done.
func (s *Store) write(ctx context.Context, change func(pgx.Tx) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return unreachableError{err}
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, s.config.Dialect.options())
	if err == nil {
		if err = change(s.config.Dialect.within(tx)); err == nil && !conn.Conn().IsClosed() {
			return cmp.Or(committing(tx.Commit(ctx)), waited(conn.Conn()))
		}
		_ = tx.Rollback(ctx) // a connection that cannot is closed
	}
	if conn.Conn().IsClosed() {
		return lostError{cmp.Or(err, pgconn.ErrConnClosed)}
	}
	return err
}

// committing is what the error of COMMIT, or of statements that were sent together with it, says. Only one that the server gives
// for a statement says that it was not done: a server that ends the session may have done it before. What pgx calls safe to retry
// is not always: a reader that meets a lost connection twice gets an error that says so.
func committing(err error) error {
	refused, answered := errors.AsType[*pgconn.PgError](err)
	if err == nil || answered && !ended(refused) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	return unknownError{err}
}

// waited is an unknownError when a commit on the connection is answered although the servers that it was to wait for may not
// have it.
func waited(conn *pgx.Conn) error {
	if _, short := conn.PgConn().CustomData()[waitCutShortKey]; !short {
		return nil
	}
	delete(conn.PgConn().CustomData(), waitCutShortKey)
	return unknownError{errWaitCutShort}
}

// ended reports whether an error of the server was the last of its session.
func ended(refused *pgconn.PgError) bool {
	return refused.SeverityUnlocalized != "ERROR" && refused.Severity != "ERROR"
}

// undoneCodes are: serialization failure, deadlock, read-only transaction (the next one is another server's).
var undoneCodes = []string{"40001", "40P01", readOnlyCode}

const readOnlyCode = "25006"

// undone reports whether a transaction was surely undone and may do when it is begun again.
func undone(err error) bool {
	if _, lost := errors.AsType[lostError](err); lost || errors.Is(err, errGone) {
		return true
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains(undoneCodes, refused.Code)
}

// unfit reports whether a transaction failed for what was to be written, not for the database's state.
func unfit(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code[:2] {
		case "22", "23", "54": // data exception, integrity constraint, program limit exceeded
			return true
		}
	}
	return false
}

// renew replaces all connections after one of them has shown that its server is not the one to use any more: it went, or it
// takes no writes since another took over. That a new one cannot be made says nothing of those that are there.
func (s *Store) renew(err error) {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
		return
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if _, lost := errors.AsType[lostError](err); lost || ok && (ended(refused) || refused.Code == readOnlyCode) {
		s.pool.Reset()
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
