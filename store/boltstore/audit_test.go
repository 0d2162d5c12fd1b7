package boltstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// audit compares everything that a store returns with what was recorded, and its parts with each other. It computes
// the expected state from the report log, independently of the fold.
type audit struct {
	t       require.TestingT
	ctx     context.Context
	s       *Store
	w       *transcript
	batches map[string][]*store.Batch // by plan
	names   map[string]int            // reports in the log, by plan and name, with their number
	repeats map[string]int            // repeated reports, by plan
	tally   map[string]store.Tally    // sum over the batches, by plan
}

// auditStore compares s with the output of the children that used it.
func auditStore(ctx context.Context, t require.TestingT, s *Store, w *transcript) {
	a := auditState(ctx, t, s, w)
	a.events()
	a.destination()
}

// auditState is auditStore without the event log and its destinations.
func auditState(ctx context.Context, t require.TestingT, s *Store, w *transcript) *audit {
	a := &audit{
		t: t, ctx: ctx, s: s, w: w, batches: make(map[string][]*store.Batch), names: make(map[string]int),
		repeats: make(map[string]int), tally: make(map[string]store.Tally),
	}
	for _, b := range pages(t, func(p store.Paging) (store.Page[*store.Batch], error) {
		return s.Batches(ctx, store.BatchQuery{Paging: p})
	}) {
		a.batches[b.Plan] = append(a.batches[b.Plan], b)
		a.batch(b)
	}
	a.reports()
	a.quarantine()
	a.inbound()
	a.totals()
	a.tasks()
	a.indexes()
	return a
}

// pages reads all pages of a list.
func pages[T any](t require.TestingT, read func(store.Paging) (store.Page[T], error)) (all []T) {
	p := store.Paging{Limit: 50}
	for {
		page, err := read(p)
		require.NoError(t, err)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		p.Cursor = page.Next
	}
}

// batch compares one batch and its recipients with its report log.
func (a *audit) batch(b *store.Batch) {
	t, key := a.t, b.Key()
	reported := a.log(key)
	recipients := pages(t, func(p store.Paging) (store.Page[*store.Recipient], error) {
		return a.s.Recipients(a.ctx, key, store.RecipientQuery{Paging: p})
	})
	require.Len(t, recipients, len(reported), "batch %s: recipients", b.ID)
	states, named := make(map[dlr.Status]int), make(map[string]int)
	var feedback store.FeedbackCounts
	for _, r := range recipients {
		digits := dlr.Digits(r.Number)
		inRow := make([]dlr.State, 0, len(r.Reports))
		for _, s := range r.Reports {
			inRow = append(inRow, s.State)
			a.repeats[b.Plan] += s.Repeats
			named[fmt.Sprint(s.Status, s.Code)]++
		}
		require.ElementsMatch(t, reported[digits], inRow,
			"batch %s, recipient %s: states in the log and in the row", b.ID, digits)
		held, _ := r.State()
		states[held.Status]++
		earned := slices.ContainsFunc(inRow, func(s dlr.State) bool { return s.Status == dlr.Delivered })
		require.Equal(t, earned, r.Feedback != store.FeedbackNone,
			"batch %s, recipient %s: feedback %s", b.ID, digits, r.Feedback)
		switch r.Feedback {
		case store.FeedbackOwed:
			feedback.Owed++
		case store.FeedbackSent:
			feedback.Sent++
		case store.FeedbackDead:
			feedback.Dead++
		case store.FeedbackNone:
		}
		a.settled(b, r)
	}
	require.Equal(t, feedback, b.Feedback, "batch %s", b.ID)
	require.Len(t, b.States, len(states), "batch %s", b.ID)
	for status, n := range states {
		require.Equal(t, n, b.States[status], "batch %s: recipients in %s", b.ID, status)
	}
	for _, r := range b.Reported {
		require.Equal(t, named[fmt.Sprint(r.Status, r.Code)], r.Named,
			"batch %s: recipients named with %s %d", b.ID, r.Status, r.Code)
	}
	for _, r := range b.Reports {
		a.repeats[b.Plan] += r.Repeats
	}
	require.Equal(t, b.Feedback.Owed > 0 || b.NeedsFullReport, b.Task != nil,
		"batch %s: it must have a task if and only if feedback is owed or the full report is wanted", b.ID)
	tally := a.tally[b.Plan]
	tally.Add(b.Tally())
	a.tally[b.Plan] = tally
	if len(recipients) > 0 {
		a.recipient(key, recipients[0])
	}
}

// log reads the batch's report log and returns the reported states of each recipient.
func (a *audit) log(key store.BatchKey) map[string][]dlr.State {
	reported := make(map[string][]dlr.State)
	for _, l := range pages(a.t, func(p store.Paging) (store.Page[store.Logged], error) {
		return a.s.Reports(a.ctx, key, p)
	}) {
		r := a.w.parsed(a.t, l.Raw)
		require.Equal(a.t, key.BatchID, r.BatchID)
		a.names[key.Plan+" "+r.ClientReference]++
		for _, e := range r.Entries {
			for _, number := range e.Recipients {
				digits := dlr.Digits(number)
				reported[digits] = append(reported[digits], e.State)
			}
		}
	}
	return reported
}

// settled checks that a recipient's feedback is sent or dead if its settlement was acknowledged, and only if its
// settlement was recorded.
func (a *audit) settled(b *store.Batch, r *store.Recipient) {
	if b.Plan != "live" {
		return
	}
	who := b.ID + "/" + r.Number
	if a.w.settled("done", store.OutcomeAccepted)[who] {
		require.Equal(a.t, store.FeedbackSent, r.Feedback,
			"%s: its settlement as accepted was acknowledged", who)
	}
	if a.w.settled("done", store.OutcomeDead)[who] {
		require.Contains(a.t, []store.FeedbackState{store.FeedbackDead, store.FeedbackSent}, r.Feedback,
			"%s: its settlement as dead was acknowledged", who)
	}
	if r.Feedback == store.FeedbackSent {
		require.True(a.t, a.w.settled("begun", store.OutcomeAccepted)[who], "%s is sent without a settlement", who)
	}
	if r.Feedback == store.FeedbackDead {
		require.True(a.t, a.w.settled("begun", store.OutcomeDead)[who], "%s is dead without a settlement", who)
	}
}

// recipient checks that a recipient can be read by its number, with the raw bytes of its reports.
func (a *audit) recipient(key store.BatchKey, listed *store.Recipient) {
	r, err := a.s.Recipient(a.ctx, key, "+"+listed.Number)
	require.NoError(a.t, err)
	require.Len(a.t, r.Reports, len(listed.Reports))
	require.Len(a.t, r.Bodies, len(r.Reports))
	for _, body := range r.Bodies {
		require.Contains(a.t, string(body), listed.Number)
	}
	page, err := a.s.RecipientBatches(a.ctx, listed.Number, store.Paging{})
	require.NoError(a.t, err)
	require.True(a.t, slices.ContainsFunc(page.Items, func(r store.RecipientInBatch) bool { return r.Key == key }))
}

// reports checks that each acknowledged report is in the log once, and that no other reports are.
func (a *audit) reports() {
	for what := range a.w.done {
		kind, name, _ := strings.Cut(what, " ")
		switch kind {
		case "report":
			require.Equal(a.t, 1, a.names["live "+name], "acknowledged report %s", name)
		case "old":
			if !a.w.deletable[what] {
				require.Equal(a.t, 1, a.names["old "+name], "acknowledged report %s of plan old", name)
			}
		case "info":
			at := slices.IndexFunc(a.batches["live"], func(b *store.Batch) bool { return b.ID == name })
			require.GreaterOrEqual(a.t, at, 0, "batch %s does not exist; its info was acknowledged", name)
			require.NotNil(a.t, a.batches["live"][at].Info, "acknowledged info of %s", name)
			require.Equal(a.t, store.FlagWanted, a.batches["live"][at].Flag)
		}
	}
	for what, n := range a.names {
		begun := strings.Replace(what, "live ", "report ", 1)
		require.True(a.t, a.w.begun[begun], "%s was never recorded", begun)
		require.Equal(a.t, 1, n, "number of times that %s is in the log", begun)
	}
}

// quarantine checks that each acknowledged quarantined callback is stored once, and that no others are.
func (a *audit) quarantine() {
	kept := make(map[string]int)
	for _, e := range pages(a.t, func(p store.Paging) (store.Page[store.QuarantineEntry], error) {
		return a.s.Quarantine(a.ctx, p)
	}) {
		name := strings.Replace(string(e.Raw), "not understood", "quarantined", 1)
		kept[name]++
		require.True(a.t, a.w.begun[name], "%s was never recorded", name)
	}
	for name, n := range kept {
		require.Equal(a.t, 1, n, "number of times that %s is in the quarantine", name)
	}
	for name := range with(a.w.done, "quarantined") {
		require.Equal(a.t, 1, kept["quarantined "+name], "acknowledged %s", name)
	}
	require.Equal(a.t, len(kept), a.s.Gauges().QuarantineEntries)
}

// inbound checks that each acknowledged inbound message is stored once, is found by its id and by its number, and that
// no others are stored.
func (a *audit) inbound() {
	kept := make(map[string]int)
	for _, m := range pages(a.t, func(p store.Paging) (store.Page[store.InboundMessage], error) {
		return a.s.InboundMessages(a.ctx, store.InboundQuery{Paging: p})
	}) {
		kept[m.ID]++
		require.True(a.t, a.w.begun["inbound "+m.ID], "inbound %s was never recorded", m.ID)
		one, err := a.s.InboundMessage(a.ctx, "live", m.ID)
		require.NoError(a.t, err)
		require.Equal(a.t, m, one)
		of, err := a.s.InboundMessages(a.ctx, store.InboundQuery{Number: m.From, Plan: "live"})
		require.NoError(a.t, err)
		require.Contains(a.t, of.Items, m)
	}
	for id, n := range kept {
		require.Equal(a.t, 1, n, "number of times that inbound %s is stored", id)
	}
	for id := range with(a.w.done, "inbound") {
		require.Equal(a.t, 1, kept[id], "acknowledged inbound %s", id)
	}
}

// totals compares the totals of the plans with the batches.
func (a *audit) totals() {
	stats, err := a.s.Stats(a.ctx)
	require.NoError(a.t, err)
	minutes, err := a.s.Timeseries(a.ctx, "live", noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 1))
	require.NoError(a.t, err)
	for _, p := range stats {
		require.Equal(a.t, a.tally[p.Plan], p.Feedback, "feedback of plan %s", p.Plan)
		if p.Plan != "live" {
			continue // retention deletes its batches and keeps their totals
		}
		recipients, messages := 0, 0
		for _, b := range a.batches["live"] {
			for _, r := range b.Reported {
				messages += r.Messages()
			}
			for _, n := range b.States {
				recipients += n
			}
		}
		require.Equal(a.t, len(a.batches["live"]), p.Batches)
		require.Equal(a.t, recipients, p.Recipients)
		counted := 0
		for _, m := range p.Messages {
			counted += m.Messages
		}
		require.Equal(a.t, messages, counted, "sum of the messages in the totals")
		counted = 0
		for _, m := range minutes {
			counted += m.Messages
		}
		require.Equal(a.t, messages, counted, "sum of the messages by minute")
		require.Equal(a.t, a.repeats["live"], p.Duplicates, "duplicates in the totals, and repeats in the rows")
		require.GreaterOrEqual(a.t, p.Duplicates, len(with(a.w.done, "again")))
		require.LessOrEqual(a.t, p.Duplicates, len(with(a.w.begun, "again")))
	}
}

// tasks checks that Tasks lists exactly the batches with pending or dead feedback.
func (a *audit) tasks() {
	pending := pages(a.t, func(p store.Paging) (store.Page[*store.Batch], error) {
		return a.s.Tasks(a.ctx, store.TaskQuery{Paging: p})
	})
	dead := pages(a.t, func(p store.Paging) (store.Page[*store.Batch], error) {
		return a.s.Tasks(a.ctx, store.TaskQuery{Dead: true, Paging: p})
	})
	for _, b := range slices.Concat(slices.Collect(maps.Values(a.batches))...) {
		same := func(listed *store.Batch) bool { return listed.Key() == b.Key() }
		require.Equal(a.t, b.Task != nil, slices.ContainsFunc(pending, same), "batch %s is listed as pending", b.ID)
		require.Equal(a.t, b.Dead != nil, slices.ContainsFunc(dead, same), "batch %s is listed as dead", b.ID)
	}
}
