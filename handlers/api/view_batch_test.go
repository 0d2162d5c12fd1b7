package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// The batch report counts every recipient; some of them have reports of their own, too.
func TestCountsAreTheLargerOfNamedAndClaimed(t *testing.T) {
	st := handlerstest.OpenStore(t)
	add := func(body string) { record(t, st, planEU, morning(0), called(t, body)) }
	add(recipientBody("b", alice, "Delivered", 0, morning(0)))
	add(recipientBody("b", bob, "Delivered", 0, morning(0)))
	add(recipientBody("b", "447700900135", "Failed", 3, morning(0)))
	add(recipientBody("b", "447700900136", "Failed", 5, morning(0)))
	add(recipientBody("b", "447700900137", "Dispatched", 401, morning(0)))
	add(`{"type":"delivery_report_sms","batch_id":"b","total_message_count":99,"statuses":[` +
		`{"code":0,"status":"Delivered","count":7},{"code":1,"status":"Delivered","count":2},` +
		`{"code":3,"status":"Failed","count":1},{"code":14,"status":"Expired","count":4},` +
		`{"code":401,"status":"Dispatched","count":50},{"code":1,"status":"Teleported","count":3}]}`)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	b := read[batchReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/b"))
	require.Equal(t, map[string]int{"Delivered": 9, "Failed": 2, "Expired": 4, "Dispatched": 1}, b.Counts)
	require.Equal(t, map[string]int{"Delivered": 2, "Failed": 2, "Dispatched": 1}, b.RecipientsByStatus)
	var delivered []int
	for _, r := range b.Reported {
		if r.Status == "Delivered" && *r.Code == 0 {
			delivered = append(delivered, r.Named, r.Claimed, r.Messages)
		}
	}
	require.Equal(t, []int{2, 7, 7}, delivered)
}

func TestFeedbackOfABatch(t *testing.T) {
	st := handlerstest.OpenStore(t)
	add := func(at time.Duration, entry store.Entry) { record(t, st, planEU, morning(at), entry) }
	add(0, called(t, recipientBody("b", alice, "Delivered", 0, morning(0))))
	add(0, called(t, `{"type":"delivery_report_sms","batch_id":"b","total_message_count":2,"statuses":[`+
		`{"code":0,"status":"Delivered","count":2}]}`))
	s := serve(t, Config{}, st, handlerstest.Quiet())
	batch := func() batchReply { return read[batchReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/b")) }

	b := batch()
	require.Equal(t, "unknown", b.Feedback.Flag)
	require.Nil(t, b.Info)
	require.Equal(t, 1, b.Feedback.Owed)
	require.True(t, b.Feedback.FullReportNeeded)

	add(time.Second, store.Settlement{
		BatchID: "b", Recipients: []string{alice}, Outcome: store.OutcomeRetry,
		Reason: store.ReasonServer, Detail: "502 from Sinch", Due: morning(time.Minute),
	})
	b = batch()
	require.Equal(t, 1, b.Feedback.Task.Attempts)
	require.Equal(t, "server", b.Feedback.Task.Reason)
	require.Equal(t, "502 from Sinch", b.Feedback.Task.Detail)

	add(2*time.Second, store.Settlement{
		BatchID: "b", Recipients: []string{alice}, Outcome: store.OutcomeDead,
		FullReportFetched: true, Reason: store.ReasonNotEnabledOrUnknown,
	})
	add(2*time.Second, store.BatchInfo{BatchID: "b", Unknown: true, Source: store.FromPoll})
	b = batch()
	require.Equal(t, 1, b.Feedback.Dead)
	require.Nil(t, b.Feedback.Task)
	require.Equal(t, "not_enabled_or_unknown", b.Feedback.DeadInfo.Reason)
	require.True(t, b.Feedback.DeadInfo.FullReportUnread)
	require.True(t, b.Info.Unknown)

	add(3*time.Second, store.Requeue{BatchID: "b", Recipients: []string{alice}})
	add(4*time.Second, store.BatchInfo{BatchID: "b", ModifiedAt: morning(0), Source: store.FromRegistration})
	b = batch()
	require.Equal(t, "unwanted", b.Feedback.Flag)
	require.Equal(t, 1, b.Feedback.Dropped)
	require.Zero(t, b.Feedback.Owed)
	for _, address := range []string{"/api/v1/plans/acme-eu/batches/b/recipients", "/api/v1/recipients/" + alice} {
		page := read[struct{ Items []recipientReply }](t, s.get(t, address))
		require.Equal(t, "dropped", page.Items[0].Feedback.State, address)
	}
	r := read[recipientReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/b/recipients/"+alice))
	require.Equal(t, "dropped", r.Feedback.State)
}

func TestARecipientThatNoReportNamed(t *testing.T) {
	st := handlerstest.OpenStore(t)
	record(t, st, planEU, morning(0), store.Confirmation{BatchID: "b", Recipients: []string{"+" + alice}})
	s := serve(t, Config{}, st, handlerstest.Quiet())
	a := s.get(t, "/api/v1/plans/acme-eu/batches/b/recipients/"+alice)
	require.JSONEq(t, `{"plan": "acme-eu", "batch_id": "b", "number": "+`+alice+`",
		"feedback": {"state": "owed", "at": "2026-03-02T10:00:00.000Z"}, "reports": []}`, string(a.Content))
}

func TestAClaimedCountOfAnUnknownStatusIsIgnored(t *testing.T) {
	b := &store.Batch{
		States:   map[dlr.Status]int{"Teleported": 2, dlr.Queued: 0},
		Reported: []store.Reported{{Status: "Teleported", Claimed: 9}},
	}
	require.Equal(t, map[dlr.Status]int{"Teleported": 2}, counts(b))
	require.Equal(t, 2, b.States["Teleported"], "counts must not change the batch")
}
