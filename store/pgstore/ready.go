package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Time limits of Ready, the readiness check.
const (
	// readyTimeout is the time limit for one call of Ready.
	readyTimeout = 3 * time.Second
	// lateAfter is how long a commit may run, with no other commit succeeding, before Ready makes a trial commit.
	lateAfter = 3 * time.Second
	// trialValidFor is how long the result of a trial commit is reused, so that concurrent callers of Ready make
	// only one.
	trialValidFor = time.Second
)

// progress records running and successful commits for the readiness check. It is safe for concurrent use.
type progress struct {
	mu       sync.Mutex
	underway map[*inFlight]struct{} // guarded by mu
	last     time.Time              // time of the last successful commit; guarded by mu

	trying chan struct{} // capacity 1: a semaphore for trial commits
	tried  time.Time     // end of the last trial commit; guarded by trying
	failed error         // result of the last trial commit; guarded by trying
}

type inFlight struct {
	begun time.Time
	group []recorded
}

// begin records that a commit of group starts. Pass its result to ended; until then group must not change.
func (p *progress) begin(group []recorded) *inFlight {
	a := &inFlight{time.Now(), group}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underway[a] = struct{}{}
	return a
}

// ended records the result err of a commit. running is the value that begin returned for that commit.
func (p *progress) ended(running *inFlight, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.underway, running)
	if err == nil {
		p.last = time.Now()
	}
}

// late reports whether no commit has succeeded for lateAfter although one has been running for at least that long.
func (p *progress) late(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) < lateAfter {
		return false
	}
	for a := range p.underway {
		if now.Sub(a.begun) >= lateAfter {
			return true
		}
	}
	return false
}

// pendingTotals returns the keys of the rows of table total that running commits change. countsOf is Store.countsOf.
func (p *progress) pendingTotals(countsOf func(slot int16) int16) map[slotPlan]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	totals := make(map[slotPlan]bool)
	for a := range p.underway {
		for _, r := range a.group {
			totals[slotPlan{countsOf(a.group[0].slot), r.arrival.Plan}] = true
		}
	}
	return totals
}

// Ready returns nil if the database accepts writes and commits succeed, else an error with the reason. If the last
// commit failed, or a commit has been running for 3 seconds while no other succeeded, Ready makes a trial commit. It
// blocks for at most 3 seconds.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var readOnly string
	if err := s.pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only')`).Scan(&readOnly); err != nil {
		return s.readError(err)
	}
	if readOnly == "on" {
		return errReadOnly
	}
	if s.commitBackoff.failureCount() == 0 && !s.progress.late(time.Now()) {
		return nil
	}
	return s.tryCommit(ctx)
}

// tryCommit makes a trial commit and returns its error. If the last trial commit ended less than trialValidFor ago,
// tryCommit returns the result of that one instead.
func (s *Store) tryCommit(ctx context.Context) error {
	p := &s.progress
	select {
	case p.trying <- struct{}{}:
		defer func() { <-p.trying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if time.Since(p.tried) < trialValidFor {
		return p.failed
	}
	err := retry(ctx, func() error { return s.runStep(ctx, s.newTrial()) })
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Cause(ctx) // the caller gave up, which says nothing about the database
	}
	if err == nil {
		s.commitBackoff.ended(nil)
	} else {
		err = fmt.Errorf("trial commit: %w", err)
	}
	p.tried, p.failed = time.Now(), err
	return err
}

// newTrial returns the transaction of a trial commit. It writes a report and a quarantined callback like any commit,
// and deletes their rows again before COMMIT. These rows have an empty plan id, unlike all real rows. The transaction
// also locks the totals that running commits will change, so that it blocks if they block.
func (s *Store) newTrial() *step {
	key := store.BatchKey{BatchID: s.replicas.self.token}
	slot := s.slotOf(key)
	state := dlr.State{Status: dlr.Delivered}
	report := &dlr.Report{
		Type: dlr.RecipientSMS, BatchID: key.BatchID,
		Entries: []dlr.Entry{{State: state, Count: 1, Recipients: []string{"0"}}},
	}
	st := newStep(s, []recorded{
		{arrival: store.Arrival{At: trialAt, Entry: store.Report{Report: report}}, slot: slot},
		{arrival: store.Arrival{At: trialAt, Entry: store.Quarantined{}}, slot: slot},
	})
	st.trial, st.events, st.batches[0].firstAt = true, false, trialAt
	for k := range s.progress.pendingTotals(s.countsOf) {
		if !s.config.Dialect.oneSlot() || k.slot == st.counts {
			st.total(k.slot, k.plan)
		}
	}
	return st
}

// trialAt is the time in the rows of a trial commit. It is before all real times, which keeps the index entries of
// trial rows apart from those of real rows.
var trialAt = time.Unix(0, 0).UTC()

// SQL statements that delete the rows of a trial commit.
var (
	deleteTrial = []string{
		`DELETE FROM batch WHERE slot = $1 AND plan = '' AND batch_id = $2`,
		`DELETE FROM recipient WHERE slot = $1 AND plan = '' AND batch_id = $2`,
		`DELETE FROM report_log WHERE slot = $1 AND plan = '' AND batch_id = $2`,
	}
	deleteTrialCounts = []string{
		`DELETE FROM minute_count WHERE slot = $1 AND minute = $2 AND plan = ''`,
		`DELETE FROM quarantine WHERE slot = $1 AND received_at = $2 AND plan = ''`,
	}
	deleteTrialTotals = []string{
		`DELETE FROM total WHERE slot = $1 AND plan = ''`,
		`DELETE FROM message_total WHERE slot = $1 AND plan = ''`,
	}
)

// queueDeletion adds to queue the statements that delete the rows of a trial commit.
func (st *step) queueDeletion(queue *pgx.Batch) {
	b := st.batches[0]
	for _, statement := range deleteTrial {
		queue.Queue(statement, b.slot, escape(b.key.BatchID))
	}
	queue.Queue(deleteTrialCounts[0], st.counts, trialAt)
	queue.Queue(deleteTrialCounts[1], b.slot, trialAt)
	for _, statement := range deleteTrialTotals {
		queue.Queue(statement, st.counts)
	}
}
