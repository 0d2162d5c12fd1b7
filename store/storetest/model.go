package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var models = []behavior{
	{"states and feedback agree with a simple model", simpleModel},
	{"rows agree with the result of Fold", asFolded},
}

// modelBatch is a simple model of a batch, with which the rows of a store are compared.
type modelBatch struct {
	reported   map[string]map[time.Time]dlr.Status // status by digits and report time; times are unique
	feedback   map[string]store.FeedbackState
	wholeBatch store.FeedbackState
	named      map[string]bool // digits listed in the batch info
	fetched    bool
	unwanted   bool
	modified   time.Time
	notBefore  time.Time // due time of the last retry
	lease      string
	until      time.Time
}

// status returns the present status of a recipient: the latest final status or, if there is none, the latest of all.
func (b *modelBatch) status(digits string) dlr.Status {
	var last, final time.Time
	for when, s := range b.reported[digits] {
		if when.After(last) {
			last = when
		}
		if s != dlr.Dispatched && when.After(final) {
			final = when
		}
	}
	if !final.IsZero() {
		last = final
	}
	return b.reported[digits][last]
}

func (b *modelBatch) in(s store.FeedbackState) []string {
	var digits []string
	for d, f := range b.feedback {
		if f == s {
			digits = append(digits, d)
		}
	}
	slices.Sort(digits)
	return digits
}

func (b *modelBatch) pending() bool {
	return !b.unwanted && (len(b.in(store.FeedbackOwed)) > 0 || b.wholeBatch == store.FeedbackOwed)
}

// known reports whether any arrival was recorded for the batch.
func (b *modelBatch) known() bool {
	return len(b.reported)+len(b.feedback)+len(b.named) > 0 || b.wholeBatch != store.FeedbackNone ||
		!b.modified.IsZero() || b.fetched
}

// move changes the feedback state of the recipients with these digits to next if their present state is one of prior.
func (b *modelBatch) move(digits []string, next store.FeedbackState, prior ...store.FeedbackState) {
	for _, d := range digits {
		if slices.Contains(prior, b.feedback[d]) {
			b.feedback[d] = next
		}
	}
}

// machine applies the same random arrivals to a store and to a model of its batches, and compares the two.
type machine struct {
	o       *opened
	plan    string
	now     time.Time
	ticks   int
	batches map[string]*modelBatch
	claims  []store.Claim // not settled yet, including expired ones
	sent    []store.Arrival
}

func simpleModel(t *testing.T, place Place) {
	o, runs := open(t, place, Config{Policies: func(string) store.Policy {
		return store.Policy{MissingReports: store.MissingReports{Silence: 10 * time.Second, Grace: 5 * time.Second}}
	}}), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		o.t = t
		m := &machine{o: o, plan: fmt.Sprint("plan ", runs), now: epoch, batches: map[string]*modelBatch{}}
		t.Repeat(map[string]func(*rapid.T){
			"report": m.report, "another report": m.report, "repeat": m.repeat,
			"confirm": m.confirm, "confirm the whole batch": m.confirmWholeBatch,
			"batch info": m.batchInfo, "report fetched": m.reportFetched,
			"claim": m.claim, "settle": m.settle, "wait": m.wait, "requeue": m.requeue, "reopen": m.reopen,
			"compare": m.compare,
		})
		m.compare(t)
	})
	o.t = t
}

func (m *machine) tick() time.Time {
	m.ticks++
	m.now = m.now.Add(time.Second)
	return m.now
}

func (m *machine) record(n store.Entry) {
	a := at(m.tick(), m.plan, n)
	m.o.record(a)
	m.sent = append(m.sent, a)
}

// draw picks one of three batch ids at random and returns it with its model, which it creates if necessary.
func (m *machine) draw(t *rapid.T) (string, *modelBatch) {
	id := rapid.SampledFrom([]string{"a", "ab", "b"}).Draw(t, "batch")
	if m.batches[id] == nil {
		m.batches[id] = &modelBatch{
			reported: map[string]map[time.Time]dlr.Status{}, feedback: map[string]store.FeedbackState{},
			named: map[string]bool{},
		}
	}
	return id, m.batches[id]
}

func drawNumber(t *rapid.T) string {
	return rapid.SampledFrom([]string{alice, "+" + alice, bob, "00" + bob, carol, number(1)}).Draw(t, "number")
}

func (m *machine) report(t *rapid.T) {
	id, b := m.draw(t)
	n, when := drawNumber(t), sec(rapid.IntRange(-100, 100).Draw(t, "at")).Add(time.Duration(m.ticks)*time.Millisecond)
	s := rapid.SampledFrom([]dlr.Status{dlr.Dispatched, dlr.Delivered, dlr.Failed}).Draw(t, "status")
	m.record(says(id, n, s, 0, when))
	d := dlr.Digits(n)
	if b.reported[d] == nil {
		b.reported[d] = map[time.Time]dlr.Status{}
	}
	b.reported[d][when] = s
	if s == dlr.Delivered {
		b.move([]string{d}, store.FeedbackOwed, store.FeedbackNone)
	}
}

func (m *machine) repeat(t *rapid.T) {
	reports := slices.DeleteFunc(slices.Clone(m.sent), func(a store.Arrival) bool {
		_, ok := a.Entry.(store.Report)
		return !ok
	})
	if len(reports) == 0 {
		t.Skip("nothing to repeat")
	}
	m.record(rapid.SampledFrom(reports).Draw(t, "report").Entry)
}

func (m *machine) confirm(t *rapid.T) {
	id, b := m.draw(t)
	n := drawNumber(t)
	m.record(confirms(id, n))
	b.move([]string{dlr.Digits(n)}, store.FeedbackOwed, store.FeedbackNone)
}

func (m *machine) confirmWholeBatch(t *rapid.T) {
	id, b := m.draw(t)
	m.record(forAll(id))
	if b.wholeBatch == store.FeedbackNone {
		b.wholeBatch = store.FeedbackOwed
	}
}

func (m *machine) batchInfo(t *rapid.T) {
	id, b := m.draw(t)
	modified := sec(rapid.IntRange(0, 1000).Draw(t, "modified")).Add(time.Duration(m.ticks) * time.Millisecond)
	f := batchInfo(id, rapid.Bool().Draw(t, "wanted"), modified)
	f.Numbers = rapid.SliceOfN(rapid.Custom(drawNumber), 0, 2).Draw(t, "numbers")
	if rapid.Bool().Draw(t, "fetch now") {
		m.record(store.FetchNow{BatchInfo: f})
	} else {
		m.record(f)
	}
	if f.ModifiedAt.After(b.modified) || b.modified.Sub(m.now) > store.MaxAhead {
		b.modified, b.unwanted = f.ModifiedAt, !f.FeedbackEnabled
		for _, d := range digitsOf(f.Numbers) {
			b.named[d] = true
		}
	}
	m.forgetRetries()
}

// forgetRetries clears the retry time of batches without a task, because a store deletes the due time with the task.
func (m *machine) forgetRetries() {
	for _, b := range m.batches {
		if !b.pending() {
			b.notBefore = time.Time{}
		}
	}
}

func (m *machine) claim(t *rapid.T) {
	now := m.tick()
	claims := m.o.claim(m.plan, now, 100)
	var want []string
	for id, b := range m.batches {
		if b.pending() && !b.notBefore.After(now) && (b.lease == "" || !b.until.After(now)) {
			want = append(want, id)
		}
	}
	require.ElementsMatch(t, want, claimed(claims))
	for _, c := range claims {
		b := m.batches[c.Key.BatchID]
		require.Equal(t, b.wholeBatch == store.FeedbackOwed, c.WholeBatch)
		if !c.WholeBatch {
			require.Equal(t, b.in(store.FeedbackOwed), digitsOf(c.Recipients))
		}
		b.lease, b.until = c.Lease, now.Add(leaseTime)
	}
	m.claims = append(m.claims, claims...)
}

func digitsOf(numbers []string) []string {
	var digits []string
	for _, n := range numbers {
		digits = append(digits, dlr.Digits(n))
	}
	slices.Sort(digits)
	return digits
}

func (m *machine) settle(t *rapid.T) {
	if len(m.claims) == 0 {
		t.Skip("nothing to settle")
	}
	i := rapid.IntRange(0, len(m.claims)-1).Draw(t, "claim")
	c := m.claims[i]
	m.claims = slices.Delete(m.claims, i, i+1)
	s := settlement(c, rapid.SampledFrom([]store.Outcome{
		store.OutcomeAccepted,
		store.OutcomeAccepted,
		store.OutcomeDead,
		store.OutcomeRetry,
		store.OutcomeProgress,
		store.OutcomeReleased,
		store.OutcomeSplit,
	}).Draw(t, "outcome"))
	s.Due = m.now.Add(20 * time.Second)
	m.record(s)

	b, digits := m.batches[c.Key.BatchID], digitsOf(c.Recipients)
	if b.lease == c.Lease {
		b.lease = ""
	}
	switch pending := b.pending(); {
	case s.Outcome == store.OutcomeAccepted:
		if c.WholeBatch {
			b.wholeBatch = store.FeedbackSent
		}
		b.move(digits, store.FeedbackSent, store.FeedbackOwed, store.FeedbackDead)
		b.notBefore = time.Time{}
	case !pending || s.Outcome == store.OutcomeReleased:
	case s.Outcome == store.OutcomeRetry:
		b.notBefore = s.Due
	case s.Outcome == store.OutcomeDead:
		if c.WholeBatch && b.wholeBatch == store.FeedbackOwed {
			b.wholeBatch = store.FeedbackDead
		}
		b.move(digits, store.FeedbackDead, store.FeedbackOwed)
		b.notBefore = time.Time{}
	case s.Outcome == store.OutcomeProgress, s.Outcome == store.OutcomeSplit:
		b.notBefore = time.Time{}
	}
	m.forgetRetries()
}

// reportFetched records a ReportFetched for a random batch, whether or not a fetch is due.
func (m *machine) reportFetched(t *rapid.T) {
	id, b := m.draw(t)
	n := reportFetched(id)
	n.Refused = rapid.SampledFrom([]string{"", "", "", "404 not_found"}).Draw(t, "refused")
	m.record(n)
	b.fetched = true
}

func (m *machine) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
}

func (m *machine) requeue(t *rapid.T) {
	id, b := m.draw(t)
	dead := b.in(store.FeedbackDead)
	n, err := m.o.Requeue(context.Background(), store.BatchKey{Plan: m.plan, BatchID: id}, m.tick())
	if !b.known() {
		require.ErrorIs(t, err, store.ErrNotFound)
		return
	}
	require.NoError(t, err)
	require.Equal(t, len(dead), n)
	b.move(dead, store.FeedbackOwed, store.FeedbackDead)
	if b.wholeBatch == store.FeedbackDead {
		b.wholeBatch = store.FeedbackOwed
	}
	b.notBefore = time.Time{}
}

// reopen closes and opens the store again, but only in one of five calls, because this takes long. It then lets all
// leases expire, because the contract does not say whether leases survive a restart.
func (m *machine) reopen(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	m.o.reopen()
	m.now = m.now.Add(2 * leaseTime)
}
