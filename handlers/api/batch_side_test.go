package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// sideReply is the part of the API's batch that does not come from reports.
type sideReply struct {
	Missing  int
	Feedback struct {
		WholeBatch *string `json:"whole_batch"`
		Task       *struct{ Attempts int }
		DeadInfo   *struct{ Reason string } `json:"dead_info"`
	}
	Info struct {
		Recipients, Groups int
		Source             string
	}
	Fetch *struct {
		Due      string
		Attempts *int
		Ended    *bool
	}
}

func (s server) side(t *testing.T, id string) sideReply {
	t.Helper()
	return read[sideReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/"+id))
}

// Feedback for the whole batch (an empty recipient list) has a state of its own. Its batch is listed as pending or
// dead although no recipient is.
func TestFeedbackForTheWholeBatch(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	lists := func(pending, dead []string) {
		t.Helper()
		require.Equal(t, pending, s.pages(t, "/api/v1/feedback?plan=acme-eu", "id", 1))
		require.Equal(t, dead, s.pages(t, "/api/v1/feedback?state=dead", "id", 1))
	}
	wholeBatch := func() string {
		t.Helper()
		state := s.side(t, "b").Feedback.WholeBatch
		require.NotNil(t, state)
		return *state
	}
	attempt := func(at time.Time, o store.Outcome, r store.Reason) {
		t.Helper()
		s.side(t, "b") // waits for the fold, as Claim sees only folded arrivals
		claims, err := st.Claim(t.Context(), planEU, at, time.Second, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		require.True(t, claims[0].WholeBatch)
		record(t, st, planEU, at, store.Settlement{
			BatchID: "b", Lease: claims[0].Lease, WholeBatch: true, Outcome: o, Reason: r,
		})
	}

	record(t, st, planEU, morning(0), store.BatchInfo{
		BatchID: "b", FeedbackEnabled: true, ModifiedAt: morning(0), Source: store.FromGateway,
	})
	require.Nil(t, s.side(t, "b").Feedback.WholeBatch)
	lists(nil, nil)

	record(t, st, planEU, morning(time.Second), store.Confirmation{BatchID: "b", WholeBatch: true})
	require.Equal(t, "owed", wholeBatch())
	lists([]string{"b"}, nil)

	attempt(morning(time.Minute), store.OutcomeDead, store.ReasonRejected)
	require.Equal(t, "dead", wholeBatch())
	require.Equal(t, "rejected", s.side(t, "b").Feedback.DeadInfo.Reason)
	lists(nil, []string{"b"})

	require.JSONEq(t, `{"batches": 1, "recipients": 0, "more": false}`,
		string(s.requeue(t, `{"plan": "acme-eu", "batch_id": "b"}`).Content))
	require.Equal(t, "owed", wholeBatch())
	lists([]string{"b"}, nil)

	attempt(store.Now().Add(time.Second), store.OutcomeAccepted, store.ReasonAccepted)
	require.Equal(t, "sent", wholeBatch())
	lists(nil, nil)
}

func TestFeedbackForTheWholeBatchOfAnUnwantedBatchIsDropped(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	record(t, st, planEU, morning(0), store.Confirmation{BatchID: "b", WholeBatch: true})
	record(t, st, planEU, morning(0), store.BatchInfo{BatchID: "b", ModifiedAt: morning(0), Source: store.FromPoll})
	require.Equal(t, "dropped", *s.side(t, "b").Feedback.WholeBatch)
	require.Empty(t, s.pages(t, "/api/v1/feedback", "id", 1))
}

func TestMissingReportsOfABatch(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	add := func(at time.Duration, entry store.Entry) { t.Helper(); record(t, st, planEU, morning(at), entry) }
	add(0, store.BatchInfo{
		BatchID: "b", ReportKind: "per_recipient", Recipients: 3, Groups: 1, Numbers: []string{alice, bob},
		CreatedAt: morning(0), ModifiedAt: morning(0), ExpireAt: morning(24 * time.Hour), Source: store.FromGateway,
	})
	b := s.side(t, "b")
	require.Equal(t, 2, b.Missing, "the size of the group is unknown, so it does not count")
	require.Equal(t, 3, b.Info.Recipients)
	require.Equal(t, 1, b.Info.Groups)
	require.Equal(t, "gateway", b.Info.Source)
	require.Equal(t, "2026-03-02T11:00:00.000Z", b.Fetch.Due)
	require.Equal(t, 0, *b.Fetch.Attempts)
	require.False(t, *b.Fetch.Ended)

	polled := called(t, recipientBody("b", alice, "Delivered", 0, morning(time.Minute)))
	polled.Source = store.FromPoll
	add(time.Hour, polled)
	add(time.Hour, store.ReportFetched{BatchID: "b"})
	b = s.side(t, "b")
	require.Equal(t, 1, b.Missing)
	require.Equal(t, 1, *b.Fetch.Attempts)
	require.Equal(t, "2026-03-02T13:00:00.000Z", b.Fetch.Due)
	r := read[struct{ Reports []struct{ Source string } }](t,
		s.get(t, "/api/v1/plans/acme-eu/batches/b/recipients/"+alice))
	require.Equal(t, "polled", r.Reports[0].Source)

	add(25*time.Hour, store.ReportFetched{BatchID: "b"})
	b = s.side(t, "b")
	require.Empty(t, b.Fetch.Due)
	require.Equal(t, 2, *b.Fetch.Attempts)
	require.True(t, *b.Fetch.Ended)

	add(26*time.Hour, called(t, `{"type":"delivery_report_sms","batch_id":"b","total_message_count":2,"statuses":[`+
		`{"code":0,"status":"Delivered","count":2}]}`))
	b = s.side(t, "b")
	require.Zero(t, b.Missing)
	require.Nil(t, b.Fetch)
}

// The batch info names recipients before any report does. They have no status yet.
func TestRecipientsWithoutReports(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	record(t, st, planEU, morning(0), store.BatchInfo{
		BatchID: "b", ReportKind: "per_recipient", Recipients: 2, Numbers: []string{alice, bob},
		ModifiedAt: morning(0), Source: store.FromGateway,
	})
	record(t, st, planEU, morning(time.Second), called(t, recipientBody("b", bob, "Failed", 153, morning(0))))
	batch := "/api/v1/plans/acme-eu/batches/b"
	silent := `{"plan": "acme-eu", "batch_id": "b", "number": "` + alice + `",
		"feedback": {"state": "none"}, "reports": []}`
	require.JSONEq(t, silent, string(s.get(t, batch+"/recipients/+"+alice).Content))
	require.JSONEq(t, `{"items": [`+silent+`]}`, string(s.get(t, "/api/v1/recipients/"+alice).Content))
	page := read[struct{ Items []recipientReply }](t, s.get(t, batch+"/recipients"))
	require.Len(t, page.Items, 2)
	require.Nil(t, page.Items[0].State)
	require.Equal(t, "Failed", page.Items[1].State.Status)
	for _, limit := range []int{1, 2} {
		require.Equal(t, []string{alice, bob}, s.pages(t, batch+"/recipients", "number", limit))
		require.Equal(t, []string{bob}, s.pages(t, batch+"/recipients?status=failed", "number", limit))
		require.Empty(t, s.pages(t, batch+"/recipients?status=delivered", "number", limit))
	}
	b := read[batchReply](t, s.get(t, batch))
	require.Equal(t, map[string]int{"Failed": 1}, b.RecipientsByStatus)
	require.Equal(t, http.StatusNotFound, s.get(t, batch+"/recipients/447700900199").StatusCode)
}
