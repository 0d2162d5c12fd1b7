package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// checkStates compares every batch and recipient of p with the simulator's ledger: everything that was acknowledged
// must be stored exactly once.
func checkStates(t *testing.T, p *program, l ledger.Ledger) {
	t.Helper()
	type message struct {
		status string
		code   int
	}
	acknowledged, attempts := map[string]map[string]bool{}, 0
	for _, c := range l.Callbacks {
		require.Equal(t, ledger.Acknowledged, c.Result, "callback %d was answered so that Sinch gave it up: %+v",
			c.Ordinal, c.Attempts)
		if acknowledged[c.Batch] == nil {
			acknowledged[c.Batch] = map[string]bool{}
		}
		acknowledged[c.Batch][fmt.Sprint(c.Type, c.Recipients, c.Status, c.Code)] = true
		attempts += len(c.Attempts)
	}
	delivered := 0
	for _, b := range l.Batches {
		if len(acknowledged[b.ID]) == 0 {
			continue
		}
		view := batchOf(p, b.ID)
		counts, states := map[string]int{}, map[string]message{}
		for _, r := range b.Recipients {
			counts[r.Status]++
			states[r.Recipient] = message{r.Status, r.Code}
			if r.Status == "Delivered" {
				delivered++
			}
		}
		assert.Equal(t, counts, view.Counts, "batch %s (%s)", b.ID, b.Report)
		named := recipientsOf(p, b.ID)
		if b.Report != "summary" {
			require.Len(t, named, len(b.Recipients), "batch %s (%s)", b.ID, b.Report)
		}
		read := b.FeedbackEnabled && counts["Delivered"] > 0 // then dlrloop has fetched the full report of a summary
		for _, r := range named {
			if b.Report == "summary" && !read && r.State.Status == "" {
				continue // known from the batch itself; a summary names no recipients
			}
			assert.Equal(t, message{r.State.Status, r.State.Code}, states[strings.TrimPrefix(r.Number, "+")],
				"recipient of batch %s (%s)", b.ID, b.Report)
		}
		reports := len(acknowledged[b.ID])
		if b.Report == "summary" && read {
			reports++ // the fetched full report
		}
		assert.Equal(t, reports, reportsOf(p, b.ID), "reports in the log of batch %s (%s)", b.ID, b.Report)
	}
	t.Logf("%d batches, %d callbacks in %d attempts, %d recipients delivered", len(l.Batches), len(l.Callbacks),
		attempts, delivered)
	checkInbound(t, p, l)
}

// checkInbound checks that p lists each acknowledged inbound message of the ledger once, and no others.
func checkInbound(t *testing.T, p *program, l ledger.Ledger) {
	t.Helper()
	type message struct{ ID, Type, To, Text string }
	var want []message
	for _, c := range l.AcknowledgedInbound() {
		want = append(want, message{c.Inbound.ID, c.Type, c.Inbound.To, c.Inbound.Text})
	}
	assert.NotEmpty(t, want)
	assert.ElementsMatch(t, want, all[message](p, "/api/v1/inbound?limit=1000"))
	t.Logf("%d inbound messages", len(want))
}

// checkAnswers checks that every callback attempt got one of the allowed statuses, where 0 means no answer. It
// returns the number of attempts that were not answered 200.
func checkAnswers(t *testing.T, l ledger.Ledger, allowed ...int) (failed int) {
	t.Helper()
	answers := map[int]int{}
	for _, c := range l.Callbacks {
		for _, a := range c.Attempts {
			answers[a.Status]++
			if a.Status != http.StatusOK {
				failed++
			}
		}
	}
	t.Logf("attempts by answer: %v", answers)
	assert.Subset(t, allowed, slices.Collect(maps.Keys(answers)))
	return failed
}

// checkFeedback compares the feedback with the ledger: all owed feedback must have arrived and no other, and no more
// calls may have been repeated than were in flight at the kills.
func checkFeedback(t *testing.T, l ledger.Ledger, kills int) {
	t.Helper()
	owed := l.OwedFeedback()
	require.NotEmpty(t, owed)
	assert.Empty(t, l.MissingFeedback())
	assert.Empty(t, l.UnearnedFeedback())
	applied, repeats := map[ledger.BatchRecipient]bool{}, 0
	for _, c := range l.Feedback {
		assert.False(t, c.WholeBatch, "a call had empty recipients, which means all recipients")
		repeated := false
		for _, r := range c.Recipients {
			who := ledger.BatchRecipient{Batch: c.Batch, Recipient: r}
			repeated = repeated || applied[who]
			applied[who] = applied[who] || c.Applied
		}
		if repeated {
			repeats++
		}
	}
	t.Logf("%d recipients owed, %d feedback calls, %d of them repeats after %d kills", len(owed), len(l.Feedback),
		repeats, kills)
	assert.LessOrEqual(t, repeats, kills*workers)
}

type batchView struct {
	Counts map[string]int
}

func batchOf(p *program, id string) (b batchView) {
	p.t.Helper()
	p.get("/api/v1/plans/"+plan+"/batches/"+url.PathEscape(id), &b)
	return b
}

type recipientView struct {
	Number string
	State  struct {
		Status string
		Code   int
	}
}

// page is one page of a list.
type page[T any] struct {
	Items      []T
	NextCursor string `json:"next_cursor"`
}

func recipientsOf(p *program, id string) []recipientView {
	p.t.Helper()
	return all[recipientView](p, "/api/v1/plans/"+plan+"/batches/"+url.PathEscape(id)+"/recipients?limit=1000")
}

// reportsOf returns the number of reports in a batch's log.
func reportsOf(p *program, id string) int {
	p.t.Helper()
	return len(all[struct{}](p, "/api/v1/plans/"+plan+"/batches/"+url.PathEscape(id)+"/reports?limit=1000"))
}

// all reads all pages of a list.
func all[T any](p *program, path string) (items []T) {
	p.t.Helper()
	for cursor := ""; ; {
		var one page[T]
		p.get(path+cursor, &one)
		items = append(items, one.Items...)
		if one.NextCursor == "" {
			return items
		}
		cursor = "&cursor=" + url.QueryEscape(one.NextCursor)
	}
}
