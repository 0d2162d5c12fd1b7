package simulator

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestReportKinds(t *testing.T) {
	const sms, recipient = "delivery_report_sms", "recipient_delivery_report_sms"
	for kind, want := range map[string]struct {
		types    []string
		statuses []string
		at       []time.Duration
	}{
		"none":    {},
		"summary": {[]string{sms}, []string{""}, []time.Duration{2 * time.Second}},
		"full":    {[]string{sms}, []string{""}, []time.Duration{2 * time.Second}},
		"per_recipient": {
			[]string{recipient, recipient, recipient},
			[]string{"Dispatched", "Delivered", "Aborted"},
			[]time.Duration{time.Second, 2 * time.Second, 2 * time.Second},
		},
		"per_recipient_final": {
			[]string{recipient, recipient},
			[]string{"Delivered", "Aborted"},
			[]time.Duration{2 * time.Second, 2 * time.Second},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// With one callback in flight, callbacks arrive in the order in which they became due.
				u := newCustomer(t, Config{Calm: true, Pace: time.Second, MaxCallbacksInFlight: 1}).run()
				require.NoError(t, u.sim.SetOutcome("+12025550001", Outcome{Status: "Aborted", Code: 402}))
				start := time.Now()
				id := u.send(map[string]any{"to": numbers(2), "delivery_report": kind})
				u.settle()
				var types, got []string
				var at []time.Duration
				for _, p := range u.received() {
					types = append(types, p.report.Type)
					got = append(got, p.report.Status)
					at = append(at, p.at.Sub(start))
					require.Equal(t, id, p.report.BatchID)
					require.Equal(t, "application/json", p.header.Get("Content-Type"))
					require.Equal(t, "/hooks", p.path)
				}
				require.Equal(t, want.types, types)
				require.ElementsMatch(t, want.statuses, got)
				require.Equal(t, want.at, at)
			})
		})
	}
}

func TestRecipientReportLooksLikeTheCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id := u.send(map[string]any{
			"to": []string{"+447700900133"}, "delivery_report": "per_recipient",
			"client_reference": "otp/8a02",
		})
		u.settle()
		require.Len(t, u.received(), 2)
		require.Equal(t,
			`{"at":"2000-01-01T00:00:00.300Z","batch_id":"`+id+`","client_reference":"otp/8a02","code":401,`+
				`"recipient":"447700900133","status":"Dispatched",`+
				`"type":"recipient_delivery_report_sms"}`, string(u.received()[0].body))
		require.Equal(t, `{"at":"2000-01-01T00:00:00.600Z","batch_id":"`+id+`","client_reference":"otp/8a02","code":0,`+
			`"operator_status_at":"2000-01-01T00:00:00Z","recipient":"447700900133","status":"Delivered",`+
			`"type":"recipient_delivery_report_sms"}`, string(u.received()[1].body))
	})
}

func TestBatchReports(t *testing.T) {
	for kind, recipients := range map[string]string{
		"summary": "",
		"full":    `,"recipients":["12025550000","12025550002"]`,
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true}).run()
			require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Expired", Code: 14}))
			id := u.send(map[string]any{"to": numbers(3), "delivery_report": kind, "client_reference": "r"})
			u.settle()
			expired := ""
			if recipients != "" {
				expired = `,"recipients":["12025550001"]`
			}
			require.Len(t, u.received(), 1)
			require.Equal(t,
				`{"batch_id":"`+id+`","client_reference":"r","statuses":[{"code":0,`+
					`"count":2`+recipients+`,"status":"Delivered"},`+
					`{"code":14,"count":1`+expired+`,"status":"Expired"}],"total_message_count":3,`+
					`"type":"delivery_report_sms"}`,
				string(u.received()[0].body))
		})
	}
}

func TestMediaBatchesHaveMMSReports(t *testing.T) {
	for kind, want := range map[string]string{
		"full":                "delivery_report_mms",
		"per_recipient_final": "recipient_delivery_report_mms",
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true}).run()
			u.send(map[string]any{
				"to": numbers(1), "delivery_report": kind, "type": "mt_media",
				"body": map[string]string{"url": "https://x/y.png"},
			})
			u.settle()
			require.Equal(t, want, u.received()[0].report.Type)
		})
	}
}

func TestStatusesBeforeAndAfterTheSMSC(t *testing.T) {
	for status, want := range map[string]struct {
		statuses []string
		operator bool
	}{
		"Delivered": {[]string{"Dispatched", "Delivered"}, true},
		"Failed":    {[]string{"Dispatched", "Failed"}, true},
		"Rejected":  {[]string{"Rejected"}, true},
		"Aborted":   {[]string{"Aborted"}, false},
		"Invented":  {[]string{"Dispatched", "Invented"}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true}).run()
			require.NoError(t, u.sim.SetOutcome("12025550000", Outcome{Status: status, Code: 4711}))
			u.send(map[string]any{"to": numbers(1), "delivery_report": "per_recipient"})
			u.settle()
			posts := u.received()
			require.Equal(t, want.statuses, statuses(posts))
			last := posts[len(posts)-1].report
			require.Equal(t, 4711, last.Code)
			require.Equal(t, want.operator, last.OperatorAt != "", status)
		})
	}
}

func TestBatchCallbackURLOverridesPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, CallbackURL: hooks, CallbackHeader: http.Header{"X-Tenant": {"a"}},
		}}}).run()
		u.send(map[string]any{
			"to": numbers(1), "delivery_report": "full",
			"callback_url": "http://customer.test/own?tenant=a",
		})
		u.settle()
		u.send(map[string]any{"to": numbers(1), "delivery_report": "full"})
		u.settle()
		require.NoError(t, u.sim.SetCallbackURL(testPlan, "http://customer.test/moved"))
		u.send(map[string]any{"to": numbers(1), "delivery_report": "full"})
		u.settle()
		var paths []string
		for _, p := range u.received() {
			paths = append(paths, p.path)
			require.Equal(t, "a", p.header.Get("X-Tenant"))
		}
		require.Equal(t, []string{"/own?tenant=a", "/hooks", "/moved"}, paths)
		require.Error(t, u.sim.SetCallbackURL("other", hooks))
		require.Error(t, u.sim.SetCallbackURL(testPlan, "nowhere"))
	})
}

func TestBatchWaitsForSendAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		start := time.Now()
		u.send(map[string]any{"to": numbers(1), "delivery_report": "full", "send_at": start.Add(time.Hour)})
		u.settle()
		require.Equal(t, time.Hour+600*time.Millisecond, u.received()[0].at.Sub(start))
	})
}

func TestEmptyGroupHasAnEmptyReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, CallbackURL: hooks, Groups: map[string][]string{"emptyGroup01": {}},
		}}}).run()
		u.send(map[string]any{"to": []string{"emptyGroup01"}, "delivery_report": "full"})
		u.settle()
		require.Len(t, u.received(), 1)
		require.JSONEq(t, `[]`, string(xms.Encode(u.received()[0].report.Statuses)))
		require.Contains(t, string(u.received()[0].body), `"statuses":[]`)
	})
}

func TestInbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		sent := time.Date(1999, 12, 31, 23, 59, 58, 0, time.UTC)
		id, err := u.sim.Receive(Inbound{
			From: "+12025550180", To: "54321", Body: json.RawMessage(`"STOP 👋"`),
			OperatorID: "310260", SentAt: &sent,
		})
		require.NoError(t, err)
		u.settle()
		require.Len(t, u.received(), 1)
		require.JSONEq(t, `{"type":"mo_text","id":"`+id+`","from":"12025550180","to":"54321","body":"STOP 👋",
			"received_at":"2000-01-01T00:00:00.000Z","sent_at":"1999-12-31T23:59:58.000Z",
			"operator_id":"310260"}`, string(u.received()[0].body))
		require.Equal(t, ledger.Acknowledged, u.sim.Ledger().Callbacks[0].Result)

		for name, m := range map[string]Inbound{
			"no sender":           {To: "54321", Body: json.RawMessage(`"x"`)},
			"no receiver":         {From: "12025550180", Body: json.RawMessage(`"x"`)},
			"no body":             {From: "12025550180", To: "54321"},
			"an object as a text": {From: "12025550180", To: "54321", Body: json.RawMessage(`{}`)},
			"an unknown type":     {From: "12025550180", To: "54321", Body: json.RawMessage(`"x"`), Type: "mo_smoke"},
			"binary without udh": {
				From: "12025550180", To: "54321", Body: json.RawMessage(`"AA=="`),
				Type: "mo_binary",
			},
			"an unknown plan": {From: "12025550180", To: "54321", Body: json.RawMessage(`"x"`), Plan: "other"},
		} {
			_, err := u.sim.Receive(m)
			require.Error(t, err, name)
		}
	})
}
