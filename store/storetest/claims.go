package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var claiming = []behavior{
	{"claims are made in order of due time", claimOrder},
	{"a task is not claimed before it is due", claimWhenDue},
	{"a claim holds the batch and its owed recipients", claimContent},
	{"a leased task is not claimed until the lease ends", leaseEnds},
	{"a task with a durable settlement is not claimed", claimAfterSettlement},
	{"concurrent claims never share a task", leaseIsExclusive},
	{"a late settlement does not end the next lease", lateSettlement},
	{"each plan has its own claims", claimsByPlan},
	{"a batch that wants no feedback is not claimed", unwantedIsNotClaimed},
	{"a full report to fetch is a task", claimForFullReport},
	{"a claim holds at most MaxRecipients recipients", claimsOfManyRecipients},
	{"recipients that become owed during a claim are left for the next", earnedDuringClaim},
	{"tasks survive a restart", claimsAfterRestart},
	{"a clock that is set back delays no task", claimsAfterSetback},
	{"a clock that is set back hides no task from the gauges", oldestAfterSetback},
}

func claimOrder(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i, second := range []int{5, 3, 9, 1, 7} {
		o.record(arrives(second, delivered(fmt.Sprint(i), alice)))
	}
	require.Empty(t, o.claim(plan, sec(9), 0))
	require.Equal(t, []string{"3", "1"}, claimed(o.claim(plan, sec(9), 2)))
	require.Equal(t, []string{"0"}, claimed(o.claim(plan, sec(9), 1)))
	require.Equal(t, []string{"4", "2"}, claimed(o.claim(plan, sec(9), 10)))
	require.Empty(t, o.claim(plan, sec(9), 10))
}

func claimWhenDue(t *testing.T, place Place) {
	o := open(t, place, Config{Policies: func(string) store.Policy { return store.Policy{Coalesce: 10 * time.Second} }})
	o.record(arrives(0, delivered("batch", alice)))
	require.Empty(t, o.claim(plan, sec(0), 10))
	require.Empty(t, o.claim(plan, sec(10).Add(-time.Millisecond), 10))
	require.Len(t, o.claim(plan, sec(10), 10), 1)
}

func claimContent(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, batchInfo("batch", true, sec(0))), arrives(1, allDelivered("batch", "+"+alice, bob)),
		arrives(2, says("batch", carol, dlr.Failed, 34, sec(0))),
	)
	c := o.claimOne(plan, sec(3))
	require.Equal(t, key("batch"), c.Key)
	require.Equal(t, []string{"+" + alice, bob}, c.Recipients, "only owed recipients, with numbers as received")
	require.Equal(t, o.batch(key("batch")), c.Batch)
	retry := settlement(c, store.OutcomeRetry)
	retry.Due, retry.Reason, retry.Detail = sec(10), store.ReasonTimeout, "no answer in 10 s"
	o.record(arrives(4, retry))

	again := o.claimOne(plan, sec(10))
	require.NotEqual(t, c.Lease, again.Lease)
	want := &store.Task{
		Due: sec(10), Since: sec(1), Attempts: 1, Reason: store.ReasonTimeout, Detail: "no answer in 10 s",
	}
	require.Equal(t, want, again.Batch.Task)
}

func leaseEnds(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	first := o.claimOne(plan, sec(0))
	require.Empty(t, o.claim(plan, sec(0), 10))
	require.Empty(t, o.claim(plan, sec(0).Add(leaseTime-time.Millisecond), 10))
	second := o.claimOne(plan, sec(0).Add(leaseTime+time.Millisecond))
	require.NotEqual(t, first.Lease, second.Lease)
	require.Equal(t, first.Recipients, second.Recipients)
	require.Empty(t, o.claim(plan, sec(0).Add(leaseTime+2*time.Millisecond), 10))
}

// claimAfterSettlement tests that Claim does not lease a task again once its settlement is durable, even if the store
// has not folded the settlement yet and the lease has ended.
func claimAfterSettlement(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 30 {
		id, now := fmt.Sprint(i), sec(0).Add(time.Duration(i)*time.Hour)
		o.record(at(now, plan, delivered(id, alice)))
		s := settlement(
			o.claimOne(plan, now),
			[]store.Outcome{store.OutcomeAccepted, store.OutcomeDead, store.OutcomeRetry}[i%3],
		)
		s.Due = sec(1e6)
		o.record(at(now, plan, s))
		claims, err := o.Claim(t.Context(), plan, now.Add(2*leaseTime), leaseTime, 10)
		require.NoError(t, err)
		require.Empty(t, claims, "the task was settled as %s before", s.Outcome)
	}
}

// claimsAfterSetback tests that Claim still returns these tasks after the clock was set back by two days: one that was
// due, one that waits for a retry, and one whose lease ended without a settlement.
func claimsAfterSetback(t *testing.T, place Place) {
	const setback = -48 * time.Hour
	o := open(t, place, Config{Policies: func(string) store.Policy { return store.Policy{MaxWait: time.Hour} }})
	now := time.Now().UTC().Truncate(time.Second)
	for _, id := range []string{"due", "waits", "leased"} {
		o.record(at(now, plan, delivered(id, alice)))
	}
	for _, c := range o.claim(plan, now, 10) {
		retry := settlement(c, store.OutcomeRetry)
		retry.Due = now.Add(map[string]time.Duration{"waits": time.Hour}[c.Key.BatchID])
		o.record(at(now, plan, retry))
	}
	_ = o.stats(plan) // wait until everything is folded
	leased := o.claim(plan, now, 10)
	require.Equal(t, []string{"due", "leased"}, claimed(leased))
	o.settle(leased[0], now, store.OutcomeReleased)
	_ = o.stats(plan)

	again := o.claim(plan, now.Add(setback), 10)
	require.ElementsMatch(t, []string{"due", "leased", "waits"}, claimed(again))
	require.Empty(t, o.claim(plan, now.Add(setback), 10), "the new leases must hold")
	for _, c := range again {
		o.settle(c, now.Add(setback), store.OutcomeAccepted)
	}
	later := at(now.Add(setback), plan, delivered("later", alice))
	o.record(later)
	c := o.claimOne(plan, now.Add(setback))
	retry := settlement(c, store.OutcomeRetry)
	retry.Due = now.Add(setback + time.Hour)
	o.record(at(now.Add(setback), plan, retry))
	_ = o.stats(plan)
	require.Empty(t, o.claim(plan, now.Add(setback+time.Hour-time.Millisecond), 1), "a wait within MaxWait must hold")
	require.Equal(t, []string{"later"}, claimed(o.claim(plan, now.Add(setback+time.Hour), 1)))
}

// oldestAfterSetback tests how the gauges count a task whose due time came from a clock two days ahead: as due now.
func oldestAfterSetback(t *testing.T, place Place) {
	o := open(t, place, Config{Policies: func(string) store.Policy { return store.Policy{MaxWait: time.Hour} }})
	begin := time.Now()
	ahead := begin.UTC().Truncate(time.Millisecond).Add(48 * time.Hour)
	o.record(at(ahead, plan, delivered("batch", alice)))
	o.reopen()
	oldest := o.Gauges().Plans[plan].OldestDue
	require.False(t, oldest.IsZero())
	require.WithinRange(t, oldest, begin.Add(-time.Millisecond), time.Now())
}

func leaseIsExclusive(t *testing.T, place Place) {
	const tasks, claimers = 200, 8
	o := open(t, place, Config{})
	var arrivals []store.Arrival
	for i := range tasks {
		arrivals = append(arrivals, arrives(0, delivered(fmt.Sprint(i), alice)))
	}
	o.recordAll(arrivals)
	_ = o.stats(plan) // wait until everything is folded
	var mu sync.Mutex
	claims := make(map[string]int)
	leases := make(map[string]bool)
	var g errgroup.Group
	for range claimers {
		g.Go(func() error {
			for {
				got, err := o.Claim(t.Context(), plan, sec(1), leaseTime, 7)
				if err != nil || len(got) == 0 {
					return err
				}
				mu.Lock()
				for _, c := range got {
					claims[c.Key.BatchID]++
					leases[c.Lease] = true
					if claims[c.Key.BatchID] > 1 {
						err = fmt.Errorf("batch %s is claimed twice", c.Key.BatchID)
					}
				}
				mu.Unlock()
				if err != nil {
					return err
				}
			}
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, claims, tasks)
	require.Len(t, leases, tasks, "every claim must have its own lease")
}

func lateSettlement(t *testing.T, place Place) {
	for _, outcome := range []store.Outcome{store.OutcomeReleased, store.OutcomeProgress, store.OutcomeRetry} {
		t.Run(outcome.String(), func(t *testing.T) {
			id := outcome.String()
			o := open(t, place, Config{})
			o.record(arrives(0, delivered(id, alice)))
			late := o.claimOne(plan, sec(0))
			now := sec(0).Add(2 * leaseTime)
			current := o.claimOne(plan, now)
			o.settle(late, now, outcome)
			require.Empty(t, o.claim(plan, now.Add(time.Second), 10), "the second lease still holds")
			o.settle(current, now, store.OutcomeAccepted)
			require.Empty(t, o.claim(plan, now.Add(time.Hour), 10))
			require.Equal(t, 1, o.batch(key(id)).Feedback.Sent)
			require.NoError(t, o.Close())
		})
	}
}

func claimsByPlan(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for _, p := range []string{"p", "pl", plan, "plan2"} {
		o.record(at(sec(0), p, delivered("batch", alice)))
	}
	for _, p := range []string{"pl", "p", "plan2", plan} {
		c := o.claimOne(p, sec(1))
		o.settle(c, sec(1), store.OutcomeAccepted)
		require.Equal(t, 1, o.batch(c.Key).Feedback.Sent)
	}
	require.Empty(t, o.claim("other", sec(1), 10))
}

func unwantedIsNotClaimed(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)), arrives(1, batchInfo("batch", false, sec(1))))
	require.Empty(t, o.claim(plan, sec(10), 10))
	require.Equal(t, store.Tally{Dropped: 1}, o.stats(plan).Feedback)

	o.record(arrives(20, batchInfo("batch", true, sec(2))))
	c := o.claimOne(plan, sec(20))
	require.Equal(t, []string{alice}, c.Recipients, "dropped feedback is owed again")

	o.record(arrives(21, batchInfo("batch", false, sec(1))))
	require.Equal(t, store.FlagWanted, o.batch(key("batch")).Flag, "older batch info changes nothing")
	o.record(arrives(22, batchInfo("batch", false, sec(3))))
	o.settle(c, sec(23), store.OutcomeDead)
	require.Equal(t, store.Tally{Dropped: 1}, o.stats(plan).Feedback)
	require.Empty(t, o.claim(plan, sec(10000), 10))
}

func claimForFullReport(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, whole("batch", entry{Status: dlr.Delivered, Count: 2})))
	c := o.claimOne(plan, sec(0))
	require.True(t, c.Batch.NeedsFullReport)
	require.Empty(t, c.Recipients, "a summary names no recipients")

	o.record(arrives(1, polled(allDelivered("batch", alice, bob))))
	read := settlement(c, store.OutcomeProgress)
	read.FullReportFetched = true
	o.record(arrives(2, read))
	c = o.claimOne(plan, sec(2))
	require.False(t, c.Batch.NeedsFullReport)
	require.Equal(t, []string{alice, bob}, c.Recipients)
}

func claimsOfManyRecipients(t *testing.T, place Place) {
	const recipients = 2*store.MaxRecipients + 500
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", numbers(recipients)...)))
	sent := make(map[string]bool)
	for i, want := range []int{store.MaxRecipients, store.MaxRecipients, 500} {
		c := o.claimOne(plan, sec(i))
		require.Len(t, c.Recipients, want)
		require.Empty(t, o.claim(plan, sec(i), 10), "a batch has one lease at a time")
		for _, n := range c.Recipients {
			require.False(t, sent[n], "a sent recipient must not be claimed")
			sent[n] = true
		}
		o.settle(c, sec(i), store.OutcomeAccepted)
		require.Equal(t, len(sent), o.batch(key("batch")).Feedback.Sent)
	}
	require.Len(t, sent, recipients)
	require.Empty(t, o.claim(plan, sec(1000), 10))
}

func earnedDuringClaim(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	c := o.claimOne(plan, sec(0))
	o.record(arrives(1, delivered("batch", bob)))
	require.Empty(t, o.claim(plan, sec(1), 10))
	o.settle(c, sec(2), store.OutcomeAccepted)
	require.Equal(t, []string{bob}, o.claimOne(plan, sec(2)).Recipients)
}

func claimsAfterRestart(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("first", alice)), arrives(1, delivered("second", alice)))
	lost := o.claim(plan, sec(1), 1)
	require.Len(t, lost, 1)
	o.reopen()
	now := sec(1).Add(leaseTime + time.Millisecond)
	require.Equal(t, []string{"first", "second"}, claimed(o.claim(plan, now, 10)), "an unsettled task is due again")
	o.settle(lost[0], now, store.OutcomeAccepted) // from a process that survived the restart
	require.Equal(t, 1, o.batch(key("first")).Feedback.Sent)
	require.Empty(t, o.claim(plan, now.Add(-time.Second), 10))
}
