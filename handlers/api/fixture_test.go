package api

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// The sample data: plans, batches and recipients.
const (
	planEU    = "acme-eu"
	planUS    = "acme-us"
	batchOTP  = "01KJQ5Z3C0AAAA0000000000A1" // two recipients in reports of their own; one delivered, its feedback owed
	batchSum  = "01KJQ5Z3C0BBBB0000000000B2" // a batch report that names no recipient
	batchDead = "01KJQ5Z3C0DEAD0000000000C3" // two recipients delivered, their feedback dead
	batchDrop = "3-mbA7z9wDKY76ag"           // does not want feedback
	alice     = "447700900133"
	bob       = "447700900134"
)

// morning returns the time d after the first report of the sample.
func morning(d time.Duration) time.Time {
	return time.Date(2026, time.March, 2, 10, 0, 0, 0, time.UTC).Add(d)
}

// record records n as if it had arrived at the given time.
func record(t *testing.T, s Recorder, plan string, at time.Time, n store.Entry) {
	t.Helper()
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: plan, At: at, Entry: n}))
}

// called returns the report that the webhook would record for a callback's body.
func called(t *testing.T, body string) store.Report {
	t.Helper()
	c, err := dlr.Parse([]byte(body))
	require.NoError(t, err)
	return store.Report{Report: c.Report, Raw: []byte(body), Source: store.FromCallback}
}

func recipientBody(batch, number, status string, code int, at time.Time) string {
	return fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,`+
		`"code":%d,"status":%q,"at":%q}`,
		batch, number, code, status, at.Format(time.RFC3339Nano))
}

// recordSample records the sample data.
func recordSample(t *testing.T, s store.Store) {
	t.Helper()
	add := func(plan string, at time.Duration, n store.Entry) { record(t, s, plan, morning(at), n) }
	seconds := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

	add(planEU, seconds(-600), store.BatchInfo{
		BatchID: batchDead, FeedbackEnabled: true, ReportKind: "full", Recipients: 2,
		CreatedAt: morning(seconds(-610)), ModifiedAt: morning(seconds(-610)), Source: store.FromPoll,
	})
	add(planEU, seconds(-599), called(t, `{"type":"delivery_report_sms","batch_id":"`+batchDead+
		`","total_message_count":2,"statuses":[{"code":0,"status":"Delivered","count":2,`+
		`"recipients":["447700900201","447700900202"]}]}`))
	killTask(t, s, planEU, batchDead, morning(seconds(-597)))

	add(planEU, seconds(0.12), store.BatchInfo{
		BatchID: batchOTP, FeedbackEnabled: true, ReportKind: "per_recipient", ClientReference: "otp/8a02",
		Recipients: 2,
		CreatedAt:  morning(seconds(0.05)), ModifiedAt: morning(seconds(0.05)), Source: store.FromGateway,
	})
	dispatched := recipientBody(batchOTP, alice, "Dispatched", 401, morning(seconds(2.1)))
	add(planEU, seconds(2.3), called(t, dispatched))
	add(planEU, seconds(4.812),
		called(t, `{"type":"recipient_delivery_report_sms","batch_id":"`+batchOTP+`","recipient":"`+alice+
			`","code":0,"status":"Delivered","at":"2026-03-02T10:00:04.531Z",`+
			`"operator_status_at":"2026-03-02T10:00:00Z","client_reference":"otp/8a02"}`))
	add(planEU, seconds(5.1), called(t, dispatched))
	add(planEU, seconds(6), called(t, recipientBody(batchOTP, alice, "Queued", 400, morning(seconds(1)))))
	add(planEU, seconds(9), called(t, recipientBody(batchOTP, "+"+bob, "Failed", 153, morning(seconds(8.9)))))

	add(planEU, seconds(60), called(t, `{"type":"delivery_report_sms","batch_id":"`+batchSum+
		`","total_message_count":42,"statuses":[{"code":0,"status":"Delivered","count":40},`+
		`{"code":406,"status":"Aborted","count":2}]}`))

	add(planUS, seconds(1200), store.BatchInfo{
		BatchID: batchDrop, FeedbackEnabled: false, ReportKind: "per_recipient_final", Recipients: 1,
		CreatedAt: morning(seconds(1190)), ModifiedAt: morning(seconds(1190)), Source: store.FromPoll,
	})
	add(planUS, seconds(1201), called(t, recipientBody(batchDrop, alice, "Delivered", 0, morning(seconds(1200.5)))))

	add(planEU, seconds(1500), store.Quarantined{
		Reason: dlr.UnknownType, Type: "delivery_report_rcs", Raw: []byte(`{"type":"delivery_report_rcs","id":7}`),
	})
	add(planEU, seconds(1501), store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("\xff not JSON")})

	stop := []byte(`{"type":"mo_text","id":"01KJQ7Q1X0STOP0000000000E5","from":"` + alice + `","to":"54321",` +
		`"body":"STOP","received_at":"2026-03-02T10:30:00.662Z","operator_id":"23415"}`)
	message, err := dlr.Parse(stop)
	require.NoError(t, err)
	add(planEU, seconds(1801), store.Inbound{Inbound: message.Inbound, Raw: stop})
	saveDestinations(t, s)
}

// saveDestinations stores two destinations: app has a deferred and a dead event, former-app nothing.
func saveDestinations(t *testing.T, s store.Store) {
	t.Helper()
	failed := store.Event{
		Type: store.RecipientStatus, At: morning(9 * time.Second), Plan: planEU, BatchID: batchOTP, Number: "+" + bob,
		Version: morning(9 * time.Second).UnixMilli(), State: dlr.State{Status: dlr.Failed, Code: 153},
	}
	message := store.Event{Type: store.InboundReceived, At: morning(1801 * time.Second), Plan: planEU, Key: "mo"}
	end, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	for name, put := range map[string][]store.DeferredEvent{
		"app": {
			{
				ID: 1, Event: failed, Since: morning(10 * time.Second), Dead: true, Attempts: 31,
				Reason: store.DeliveryGaveUp, Detail: "rejected: HTTP 404",
			}, {
				ID: 2, Event: message, Since: morning(1802 * time.Second), Due: morning(1810 * time.Second), Attempts: 3,
				Reason: store.DeliveryServer, Detail: "HTTP 503",
			},
		},
		"former-app": nil,
	} {
		_, err := s.SaveDestination(t.Context(), name, store.DestinationChange{Cursor: end, Put: put})
		require.NoError(t, err)
	}
}

// killTask claims the plan's next task, which must be that of the batch, and settles it as dead.
func killTask(t *testing.T, s store.Store, plan, id string, at time.Time) {
	t.Helper()
	// A read waits for the fold. Claim sees only folded arrivals.
	_, err := s.Batch(t.Context(), store.BatchKey{Plan: plan, BatchID: id})
	require.NoError(t, err)
	claims, err := s.Claim(t.Context(), plan, at, time.Minute, 1)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.Equal(t, id, claims[0].Key.BatchID)
	record(t, s, plan, at, store.Settlement{
		BatchID: id, Lease: claims[0].Lease, Recipients: claims[0].Recipients,
		Outcome: store.OutcomeDead, Reason: store.ReasonRejected, Detail: "400 syntax_constraint_violation",
	})
}

// server is a private listener on a real socket.
type server struct {
	*httptest.Server
	document document
}

// serve serves s with configuration c on loopback.
func serve(t *testing.T, c Config, s Store, log *slog.Logger) server {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	scrape := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, "up 1\n")
	})
	p, err := New(c, s, scrape, log)
	require.NoError(t, err)
	listening := httptest.NewServer(p.Handler())
	t.Cleanup(listening.Close)
	return server{listening, loadDocument(t)}
}

// serveSample serves a store with the sample data.
func serveSample(t *testing.T) server {
	t.Helper()
	s := handlerstest.OpenStore(t)
	recordSample(t, s)
	l := &memoryLog{}
	l.add(sampleEvents()...)
	return serve(t, Config{Plans: []string{planEU, planUS}, Destinations: []string{"app"}, Events: l}, s,
		handlerstest.Quiet())
}

// get sends a GET and checks the answer against openapi.yaml.
func (s server) get(t *testing.T, address string) handlerstest.Reply {
	t.Helper()
	return s.call(t, http.MethodGet, address, "", nil)
}

// call is get with a method, a body and headers. The Content-Type is JSON unless header sets another one.
func (s server) call(t *testing.T, method, address, body string, header http.Header) handlerstest.Reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+address, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	answered, err := s.Client().Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, answered.Body.Close()) }()
	got, err := io.ReadAll(answered.Body)
	require.NoError(t, err)
	a := handlerstest.Reply{Response: answered, Content: got}
	s.document.check(t, a)
	return a
}
