package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// read requires a 200 with JSON and decodes it.
func read[T any](t *testing.T, a handlerstest.Reply) T {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.Content)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	var v T
	require.NoError(t, json.Unmarshal(a.Content, &v))
	return v
}

func TestIDsAreOpaque(t *testing.T) {
	st := handlerstest.OpenStore(t)
	ids := []string{
		"plain", "a/b", "a+b", "a%2Fb", "a b", "ü☃", ".", "..", "a/../b", "a?b#c", "?", "%", "a;b", "a&b=c",
		"recipients", ":id", "*", `a"b\c`, "a//b", "/", " ",
	}
	for i, id := range ids {
		plan := ids[len(ids)-1-i]
		record(t, st, plan, morning(0), store.Confirmation{BatchID: id, Recipients: []string{alice}})
	}
	s := serve(t, Config{}, st, handlerstest.Quiet())
	for i, id := range ids {
		plan := ids[len(ids)-1-i]
		batch := "/api/v1/plans/" + segment(plan) + "/batches/" + segment(id)
		t.Run(batch, func(t *testing.T) {
			b := read[struct{ Plan, ID string }](t, s.get(t, batch))
			require.Equal(t, plan, b.Plan)
			require.Equal(t, id, b.ID)
			r := read[map[string]any](t, s.get(t, batch+"/recipients/"+alice))
			require.Equal(t, alice, r["number"])
			require.Equal(t, id, r["batch_id"])
			require.Len(t, s.pages(t, batch+"/recipients", "number", 10), 1)
			require.Len(t, s.pages(t, "/api/v1/batches?plan="+url.QueryEscape(plan), "id", 10), 1)
		})
	}
}

// segment escapes an id for a path. It also escapes dots, which a client would otherwise resolve.
func segment(s string) string {
	if s == "." || s == ".." {
		return url.PathEscape(s[1:]) + "%2E"
	}
	return url.PathEscape(s)
}

func TestNumbersAreComparedOnTheirDigits(t *testing.T) {
	s := serveSample(t)
	for _, number := range []string{
		bob, "+" + bob, "%2B" + bob, "00" + bob, "+44%207700%20900-134",
		"%2B44(7700)900134",
	} {
		r := read[recipientReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/"+batchOTP+"/recipients/"+number))
		require.Equal(t, "+"+bob, r.Number, number)
		require.Equal(t, []string{batchOTP}, s.pages(t, "/api/v1/recipients/"+number, "batch_id", 10), number)
	}
	require.Equal(t, []string{batchDrop, batchOTP}, s.pages(t, "/api/v1/recipients/+"+alice, "batch_id", 10))
	require.JSONEq(t, `{"items": []}`, string(s.get(t, "/api/v1/recipients/15550100").Content))
}

func TestAReportWithATimeAheadOfItsArrivalShowsTheTimeThatCounts(t *testing.T) {
	st := handlerstest.OpenStore(t)
	for _, s := range []dlr.State{
		{Status: dlr.Failed, Code: 34, At: morning(6 * time.Hour)},
		{Status: dlr.Expired, Code: 406, At: morning(0), OperatorAt: morning(8 * time.Hour)},
		{Status: dlr.Delivered, At: morning(time.Second)},
	} {
		record(t, st, planEU, morning(time.Second), store.Report{Report: &dlr.Report{
			Type: dlr.RecipientSMS, BatchID: "b", Total: 1, Entries: []dlr.Entry{{
				State: s, Count: 1,
				Recipients: []string{alice},
			}},
		}, Raw: []byte("{}")})
	}
	s := serve(t, Config{}, st, handlerstest.Quiet())
	r := read[struct {
		State   struct{ Status, At string }
		Reports []map[string]any
	}](t, s.get(t, "/api/v1/plans/acme-eu/batches/b/recipients/"+alice))
	require.Equal(t, "Delivered", r.State.Status)
	require.Equal(t, "2026-03-02T16:00:00.000Z", r.Reports[0]["at"], "the report's own time is unchanged")
	require.Equal(t, "2026-03-02T10:00:01.000Z", r.Reports[0]["counted_at"])
	require.Equal(t, "2026-03-02T18:00:00.000Z", r.Reports[1]["operator_at"])
	require.Equal(t, "2026-03-02T10:00:01.000Z", r.Reports[1]["counted_at"])
	require.NotContains(t, r.Reports[2], "counted_at")
}

type recipientReply struct {
	Number   string
	State    *struct{ Status string }
	Feedback struct{ State string }
	Reports  []struct {
		Status, Effect string
		Code           *int
		Raw            json.RawMessage
		RawBase64      []byte `json:"raw_base64"`
	}
}

func TestUnknownResourcesAreNotFound(t *testing.T) {
	s := serveSample(t)
	noBatch, noAddress := "batch none of plan acme-eu was not found", "this address was not found"
	batches, inEU := "/api/v1/plans/acme-eu/batches/", "batch "+batchOTP+" of plan acme-eu was not found"
	for address, want := range map[string]string{
		batches + "none":                            noBatch,
		batches + "none/recipients":                 noBatch,
		batches + "none/reports":                    noBatch,
		batches + "none/recipients/" + alice:        noBatch,
		batches + batchOTP + "/recipients/1":        "the recipient in " + inEU,
		"/api/v1/plans/acme-us/batches/" + batchOTP: "batch " + batchOTP + " of plan acme-us was not found",
		"/api/v1/plans//batches/" + batchOTP:        "batch " + batchOTP + " of plan  was not found",
		"/nowhere":                                  noAddress,
		"/api/v1/batches/":                          noAddress,
		"/API/v1/batches":                           noAddress,
		"/api/v1/%62atches":                         noAddress,
		"/webhooks/acme-eu":                         noAddress,
		"//api/v1/batches":                          noAddress,
		"/api/v1/../healthz":                        noAddress,
	} {
		a := s.get(t, address)
		require.Equal(t, http.StatusNotFound, a.StatusCode, address)
		p := a.Problem(t)
		require.Equal(t, want, p.Detail, address)
		require.NotEmpty(t, p.RequestID)
	}
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	s := serveSample(t)
	for address, allowed := range map[string][]string{
		"/api/v1/batches": {"GET", "HEAD"}, "/healthz": {"GET", "HEAD"}, "/": {"GET", "HEAD"},
		"/api/v1/feedback/requeue": {"POST"},
	} {
		a := s.call(t, http.MethodDelete, address, "", nil)
		require.Equal(t, http.StatusMethodNotAllowed, a.StatusCode, address)
		require.ElementsMatch(t, allowed, strings.Split(a.Header.Get("Allow"), ", "), address)
		require.Contains(t, a.Problem(t).Type, "#method-not-allowed")
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	s := serveSample(t)
	for _, address := range []string{
		"/", "/healthz", "/readyz", "/metrics", "/openapi.yaml", "/api/v1/batches",
		"/api/v1/plans/acme-eu/batches/" + batchOTP,
	} {
		want := s.get(t, address)
		a := s.call(t, http.MethodHead, address, "", nil)
		require.Equal(t, http.StatusOK, a.StatusCode, address)
		require.Empty(t, a.Content)
		require.Equal(t, want.Header.Get("Content-Type"), a.Header.Get("Content-Type"))
	}
}

func TestAnswersForbidCachingAndSniffing(t *testing.T) {
	s := serveSample(t)
	for _, address := range []string{"/api/v1/batches", "/api/v1/batches?limit=0", "/", "/nowhere"} {
		a := s.call(t, http.MethodGet, address, "", http.Header{"X-Request-Id": {"r-1"}})
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"), address)
		require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"), address)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", address)
		require.Equal(t, "r-1", a.Header.Get("X-Request-Id"), address)
	}
}

func TestReportsKeepTheirBytes(t *testing.T) {
	st := handlerstest.OpenStore(t)
	at := morning(0)
	plain := recipientBody("b", alice, "Teleported", 7777, at)
	bodies := []string{
		plain,
		`{"type":"recipient_delivery_report_sms","batch_id":"b","recipient":"` + alice + `","status":"Delivered",` +
			`"at":"2026-03-02T10:00:01Z","client_reference":"<b>&amp;` + "\u2028" + `</b>"}`,
		`{"type":"recipient_delivery_report_sms","batch_id":"b","recipient":"` + alice + `","code":1,` +
			`"status":"Failed","operator":"` + "\xff" + `"}`,
		"\xef\xbb\xbf" + recipientBody("b", alice, "Dispatched", 401, at.Add(-time.Minute)),
	}
	for i, body := range bodies {
		record(t, st, planEU, at.Add(time.Duration(i)*time.Second), called(t, body))
	}
	s := serve(t, Config{}, st, handlerstest.Quiet())
	a := s.get(t, "/api/v1/plans/acme-eu/batches/b/recipients/"+alice)
	r := read[recipientReply](t, a)
	require.Len(t, r.Reports, 4)
	require.Equal(t, bodies[0], string(r.Reports[0].Raw))
	require.Equal(t, 7777, *r.Reports[0].Code)
	require.Equal(t, "superseded", r.Reports[0].Effect)
	require.Equal(t, bodies[1], string(r.Reports[1].Raw))
	require.Nil(t, r.Reports[1].Code)
	require.Equal(t, "holds", r.Reports[1].Effect)
	require.Contains(t, string(a.Content), "<b>&amp;\u2028</b>")
	require.Empty(t, r.Reports[2].Raw)
	require.Equal(t, bodies[2], string(r.Reports[2].RawBase64))
	require.Equal(t, "older", r.Reports[2].Effect)
	require.Equal(t, bodies[3], string(r.Reports[3].RawBase64))
	require.Equal(t, "intermediate", r.Reports[3].Effect)

	log := read[struct {
		Items []struct {
			Raw       json.RawMessage
			RawBase64 []byte `json:"raw_base64"`
		}
	}](t, s.get(t, "/api/v1/plans/acme-eu/batches/b/reports"))
	require.Len(t, log.Items, 4)
	for i, item := range log.Items {
		require.Equal(t, bodies[i], string(item.Raw)+string(item.RawBase64))
	}
	b := read[batchReply](t, s.get(t, "/api/v1/plans/acme-eu/batches/b"))
	require.Equal(t, map[string]int{"Delivered": 1}, b.Counts)
	require.Nil(t, b.Reported[1].Code)
	require.Equal(t, "no code", b.Reported[1].Name)
}

type batchReply struct {
	Counts             map[string]int
	RecipientsByStatus map[string]int `json:"recipients_by_status"`
	Reported           []struct {
		Status, Name             string
		Code                     *int
		Named, Claimed, Messages int
	}
	Feedback struct {
		Flag                      string
		Owed, Sent, Dead, Dropped int
		FullReportNeeded          bool `json:"full_report_needed"`
		Task                      *struct {
			Attempts       int
			Reason, Detail string
		}
		DeadInfo *struct {
			Reason           string
			FullReportUnread bool `json:"full_report_unread"`
		} `json:"dead_info"`
	}
	Info *struct {
		Unknown         bool
		FeedbackEnabled bool `json:"feedback_enabled"`
	}
}

func TestAnEmptyStoreAnswersEmptyLists(t *testing.T) {
	s := serve(t, Config{}, handlerstest.OpenStore(t), handlerstest.Quiet())
	for _, address := range []string{
		"/api/v1/batches", "/api/v1/feedback", "/api/v1/feedback?state=dead", "/api/v1/quarantine",
		"/api/v1/recipients/" + alice,
	} {
		require.JSONEq(t, `{"items": []}`, string(s.get(t, address).Content), address)
	}
	stats := read[struct{ Plans []any }](t, s.get(t, "/api/v1/stats"))
	require.Equal(t, []any{}, stats.Plans)
}
