package pgstore_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestNextClaimSkipsSentRecipients checks that each claim of a large batch starts at the first recipient of the
// previous claim. A recipient that becomes owed before that position is still claimed in the end.
func TestNextClaimSkipsSentRecipients(t *testing.T) {
	t.Parallel()
	const recipients, first = 3500, "1"
	w := newRecorder()
	s := newStore(t, pgstore.Config{URL: w.intercept(t, postgres.Database(t))})
	require.NoError(t, s.Record(t.Context(), allDelivered(t, "large", recipients)))
	var claimed []string
	begins := func() (digits []string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for statement, sent := range w.sent {
			if strings.Contains(statement, "feedback = $4") {
				digits = append(digits, string(sent.values[4]))
			}
		}
		return digits
	}
	for i := 0; ; i++ {
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 10)
		require.NoError(t, err)
		if len(claims) == 0 {
			break
		}
		switch i {
		case 0:
			require.Equal(t, []string{""}, begins())
			require.NoError(t, s.Record(t.Context(), arrives(store.Confirmation{BatchID: "large", Recipients: []string{first}})))
		case 1, 2:
			require.Equal(t, []string{number((i - 1) * 1000)}, begins())
		}
		claimed = append(claimed, claims[0].Recipients...)
		a := arrives(store.Settlement{
			BatchID: "large", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
		})
		a.At = epoch.Add(time.Hour)
		require.NoError(t, s.Record(t.Context(), a))
	}
	require.Len(t, claimed, recipients+1, "every recipient must be claimed exactly once")
	require.True(t, slices.Contains(claimed, first))
	require.Zero(t, totalsOf(t, s).Feedback.Owed)
}

// TestRequeueLargeBatch requeues more recipients than one transaction changes.
func TestRequeueLargeBatch(t *testing.T) {
	t.Parallel()
	const recipients = 5000
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address})
	require.NoError(t, s.Record(t.Context(), allDelivered(t, "large", recipients)))
	for range recipients / store.MaxRecipients {
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 1)
		require.NoError(t, err)
		require.NoError(t, s.Record(t.Context(), arrives(store.Settlement{
			BatchID: "large", Lease: claims[0].Lease, Recipients: claims[0].Recipients,
			Outcome: store.OutcomeDead, Reason: store.ReasonServer,
		})))
	}
	require.Equal(t, recipients, totalsOf(t, s).Feedback.Dead)
	n, err := s.Requeue(t.Context(), key("large"), epoch)
	require.NoError(t, err)
	require.Equal(t, recipients, n)
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: recipients}, totalsOf(t, s).Feedback)
	require.LessOrEqual(t, queryOne[int](t, address,
		`SELECT max(n)::int FROM (SELECT count(*) AS n FROM recipient GROUP BY xmin::text) t`), 4000)
}

// TestRecipientWithManyLargeReports checks that Recipient returns the raw bytes of the last reports only.
func TestRecipientWithManyLargeReports(t *testing.T) {
	t.Parallel()
	const size, reports = 6 << 20, 5
	s := newStore(t, pgstore.Config{URL: postgres.Database(t)})
	for i := range reports {
		a := delivered("batch", number(1))
		r := a.Entry.(store.Report)
		r.Entries[0].At = epoch.Add(time.Duration(i) * time.Second)
		r.Raw = append(bytes.Repeat([]byte(" "), size), fmt.Append(nil, i)...)
		a.Entry = r
		require.NoError(t, s.Record(t.Context(), a))
	}
	r, err := s.Recipient(t.Context(), key("batch"), number(1))
	require.NoError(t, err)
	require.Len(t, r.Bodies, reports)
	for i, body := range r.Bodies {
		if i < reports-3 {
			require.True(t, bytes.Equal(nil, body), "report %d", i)
			continue
		}
		require.True(t, bytes.HasSuffix(body, fmt.Append(nil, " ", i)), "report %d", i)
	}
}
