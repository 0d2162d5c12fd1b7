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

const (
	// readyTime bounds one call of Ready.
	readyTime = 3 * time.Second
	// doubtAfter is how long a commit may take, while no other succeeds, before Ready finds out whether commits succeed.
	doubtAfter = 3 * time.Second
	// verdictAge is how long what a trial showed holds, so that many callers of Ready share one.
	verdictAge = time.Second
)

// progress tells whether commits succeed. It is safe for use by any number of goroutines.
type progress struct {
	mu       sync.Mutex
	underway map[*inFlight]struct{} // guarded by mu
	last     time.Time              // when a commit last succeeded; guarded by mu

	trying chan struct{} // capacity 1: held for a trial
	tried  time.Time     // when the last trial ended; guarded by trying
	failed error         // of the last trial; guarded by trying
}

// inFlight is a commit that is under way.
type inFlight struct {
	begun time.Time
	group []recorded
}

// begin notes that the commit of a group begins. The group must not change before ended.
func (p *progress) begin(group []recorded) *inFlight {
	a := &inFlight{time.Now(), group}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underway[a] = struct{}{}
	return a
}

func (p *progress) ended(a *inFlight, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.underway, a)
	if err == nil {
		p.last = time.Now()
	}
}

// late reports whether a commit has taken longer than doubtAfter and none has succeeded for as long.
func (p *progress) late(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) < doubtAfter {
		return false
	}
	for a := range p.underway {
		if now.Sub(a.begun) >= doubtAfter {
			return true
		}
	}
	return false
}

// awaited are the totals that the commits under way add to.
func (p *progress) awaited(countsOf func(slot int16) int16) map[slotPlan]bool {
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

// Ready returns nil while the database takes writes and commits succeed. Once the last commit has failed, or commits wait and
// none has succeeded for a few seconds, it tries one.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	var readOnly string
	if err := s.pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only')`).Scan(&readOnly); err != nil {
		return s.readError(err)
	}
	if readOnly == "on" {
		return errReadOnly
	}
	if s.commits.at() == 0 && !s.progress.late(time.Now()) {
		return nil
	}
	return s.try(ctx)
}

// try finds out whether a commit succeeds.
func (s *Store) try(ctx context.Context) error {
	p := &s.progress
	select {
	case p.trying <- struct{}{}:
		defer func() { <-p.trying }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if time.Since(p.tried) < verdictAge {
		return p.failed
	}
	err := again(ctx, func() error { return s.runStep(ctx, s.newTrial()) })
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return context.Cause(ctx) // the caller left, which says nothing about the database
	}
	if err == nil {
		s.commits.ended(nil)
	} else {
		err = fmt.Errorf("try a commit: %w", err)
	}
	p.tried, p.failed = time.Now(), err
	return err
}

// newTrial is a step like any, of a report and a callback in quarantine, whose rows are deleted before the commit. Its plan has
// no name, which no other arrival's may. It waits for the totals that the commits under way wait for.
func (s *Store) newTrial() *step {
	key := store.BatchKey{BatchID: s.replicas.self.token}
	slot := s.slotOf(key)
	state := dlr.State{Status: dlr.Delivered}
	report := &dlr.Report{
		Type: dlr.RecipientSMS, BatchID: key.BatchID,
		Entries: []dlr.Entry{{State: state, Count: 1, Recipients: []string{"0"}}},
	}
	st := newStep(s, []recorded{
		{arrival: store.Arrival{At: trialAt, News: store.Report{Report: report}}, slot: slot},
		{arrival: store.Arrival{At: trialAt, News: store.Quarantined{}}, slot: slot},
	})
	st.trial, st.batches[0].born = true, trialAt
	for k := range s.progress.awaited(s.countsOf) {
		if !s.config.Dialect.oneSlot() || k.slot == st.counts {
			st.total(k.slot, k.plan)
		}
	}
	return st
}

// trialAt is the time of a trial: older than all that is kept, so that no index has its rows among those of others.
var trialAt = time.Unix(0, 0).UTC()

// Statements that delete what a trial has written.
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

// queueDeletion deletes what a trial has written.
func (st *step) queueDeletion(queue *pgx.Batch) {
	b := st.batches[0]
	for _, statement := range deleteTrial {
		queue.Queue(statement, b.slot, text(b.key.BatchID))
	}
	queue.Queue(deleteTrialCounts[0], st.counts, trialAt)
	queue.Queue(deleteTrialCounts[1], b.slot, trialAt)
	for _, statement := range deleteTrialTotals {
		queue.Queue(statement, st.counts)
	}
}
