package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const registerAddress = "/api/v1/plans/acme-eu/batches"

// sent returns a batch to alice and bob as Sinch returns it; modified is the time of its last change after morning(0).
func sent(id string, modified time.Duration, members string) string {
	return fmt.Sprintf(`{"id":%q,"to":["%s","%s"],"canceled":false,"type":"mt_text","body":"Hi",`+
		`"created_at":%q,"modified_at":%q%s}`,
		id, alice, bob, morning(0).Format(time.RFC3339Nano), morning(modified).Format(time.RFC3339Nano), members)
}

const wanted = `,"delivery_report":"per_recipient","feedback_enabled":true`

// serveRegistration serves s with the plans of the sample.
func serveRegistration(t *testing.T, s Store) server {
	t.Helper()
	return serve(t, Config{Plans: []string{planEU, planUS}}, s, handlerstest.Quiet())
}

// register posts a body of the given Content-Type.
func (s server) register(t *testing.T, contentType, body string) handlerstest.Reply {
	t.Helper()
	return s.call(t, http.MethodPost, registerAddress, body, http.Header{"Content-Type": {contentType}})
}

const ndjson = "application/x-ndjson"

// wantRegistered requires a 200 that reports n registered batches.
func wantRegistered(t *testing.T, n int, a handlerstest.Reply) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.Content)
	require.JSONEq(t, fmt.Sprintf(`{"registered": %d}`, n), string(a.Content))
}

// without returns the API's view of a batch without the named members.
func (s server) without(t *testing.T, id string, members ...string) map[string]any {
	t.Helper()
	view := read[map[string]any](t, s.get(t, registerAddress+"/"+id))
	for _, member := range members {
		delete(view, member)
	}
	return view
}

func TestARegisteredBatchIsStoredBeforeItsFirstReport(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serveRegistration(t, st)
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", 0, wanted+`,"client_reference":"otp/1"`)))

	view := s.without(t, "b", "first_at", "last_at")
	check := view["fetch"].(map[string]any)
	require.NotEmpty(t, check["due"])
	delete(view, "fetch")
	require.Equal(t, map[string]any{
		"plan": planEU, "id": "b", "client_reference": "otp/1", "total": 0.0, "missing": 2.0,
		"counts": map[string]any{}, "recipients_by_status": map[string]any{}, "reported": []any{}, "reports": []any{},
		"feedback": map[string]any{
			"flag": "wanted", "owed": 0.0, "sent": 0.0, "dead": 0.0, "dropped": 0.0, "full_report_needed": false,
		},
		"info": map[string]any{
			"unknown": false, "feedback_enabled": true, "delivery_report": "per_recipient", "client_reference": "otp/1",
			"recipients": 2.0, "groups": 0.0, "canceled": false, "source": "registered",
			"created_at": "2026-03-02T10:00:00.000Z", "modified_at": "2026-03-02T10:00:00.000Z",
		},
	}, view)
	require.Equal(t, []string{alice, bob}, s.pages(t, registerAddress+"/b/recipients", "number", 1))
	require.Equal(t, []string{"b"}, s.pages(t, "/api/v1/batches?client_reference=otp/1", "id", 1))

	record(t, st, planEU, store.Now(), called(t, recipientBody("b", alice, "Delivered", 0, morning(time.Second))))
	view = s.without(t, "b")
	require.Equal(t, 1.0, view["missing"])
	require.Equal(t, 1.0, view["feedback"].(map[string]any)["owed"], "feedback is owed without a lookup at Sinch")
}

func TestRegisteringABatchAgainChangesNothing(t *testing.T) {
	s := serveRegistration(t, handlerstest.OpenStore(t))
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Minute, wanted)))
	before := s.without(t, "b", "last_at")
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Minute, wanted)))
	require.Equal(t, before, s.without(t, "b", "last_at"))
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Second, `,"canceled":true`)))
	require.Equal(t, before, s.without(t, "b", "last_at"), "an older modification is ignored")
	wantRegistered(t, 2, s.register(t, ndjson, sent("b", time.Hour, "")+"\n"+sent("b", time.Minute, wanted)))
	require.Equal(t, "unwanted", s.without(t, "b")["feedback"].(map[string]any)["flag"],
		"a newer modification is applied")
	stats := read[struct {
		Plans []struct{ Batches, Recipients int }
	}](t, s.get(t, "/api/v1/stats"))
	require.Equal(t, []struct{ Batches, Recipients int }{{1, 2}}, stats.Plans)
}

func TestNDJSONRegistersOneBatchPerLine(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serveRegistration(t, st)
	var lines strings.Builder
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = fmt.Sprintf("b%03d", i)
		lines.WriteString(sent(ids[i], 0, wanted) + []string{"\n", "\r\n", "\n \n\n"}[i%3])
	}
	wantRegistered(t, len(ids)+1, s.register(t, ndjson+"; charset=utf-8", lines.String()+"  "+sent("last", 0, "")))
	require.ElementsMatch(t, append(ids, "last"), s.pages(t, "/api/v1/batches", "id", 100))
	wantRegistered(t, 0, s.register(t, ndjson, ""))
	wantRegistered(t, 0, s.register(t, ndjson, "\n\n"))
}

func TestCheckNowMakesMissingReportsDue(t *testing.T) {
	st := handlerstest.OpenStore(t)
	s := serveRegistration(t, st)
	missing := func() (ids []string) {
		s.without(t, "later") // waits for the fold, as MissingReports sees only folded arrivals
		batches, err := st.MissingReports(t.Context(), planEU, store.Now(), 10)
		require.NoError(t, err)
		for _, b := range batches {
			ids = append(ids, b.ID)
		}
		return ids
	}
	recent := strings.ReplaceAll(sent("later", 0, wanted), "2026-03-02", store.Now().Format(time.DateOnly))
	wantRegistered(t, 1, s.register(t, "application/json", recent))
	require.Empty(t, missing())
	lines := sent("now", 0, wanted) + "\n" + sent("none", 0, "")
	a := s.call(t, http.MethodPost, registerAddress+"?check=now", lines, http.Header{"Content-Type": {ndjson}})
	wantRegistered(t, 2, a)
	require.Equal(t, []string{"now"}, missing(), "a batch without delivery_report misses no reports")
}

// A line is recorded when it arrives, before the body has ended.
func TestLinesAreRecordedWhileTheBodyArrives(t *testing.T) {
	st := handlerstest.OpenStore(t)
	failing := storetest.NewFailing(st)
	failing.FailRecord(storetest.Slow, nil, 1)
	s := serveRegistration(t, failing)
	body, lines := io.Pipe()
	defer func() { require.NoError(t, lines.Close()) }()
	answered := make(chan *http.Response, 1)
	go func() {
		defer close(answered)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+registerAddress, body)
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", ndjson)
		if a, err := s.Client().Do(r); err == nil {
			answered <- a
		}
	}()
	_, err := io.WriteString(lines, sent("b1", 0, wanted)+"\n")
	require.NoError(t, err)
	failing.AwaitWaiting(1)
	_, err = st.Batch(t.Context(), store.BatchKey{Plan: planEU, BatchID: "b1"})
	require.NoError(t, err)
	failing.Release()
	_, err = io.WriteString(lines, sent("b2", 0, wanted))
	require.NoError(t, err)
	require.NoError(t, lines.Close())
	a := <-answered
	require.NotNil(t, a)
	got, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	require.NoError(t, a.Body.Close())
	wantRegistered(t, 2, handlerstest.Reply{Response: a, Content: got})
}

// A store failure of any kind is answered 503 with the number of registered batches. Repeating the request registers
// the rest.
func TestAFailedRegistrationMayBeRepeated(t *testing.T) {
	lines := sent("b1", 0, wanted) + "\n" + sent("b2", 0, wanted) + "\n" + sent("b3", 0, wanted) + "\n"
	for name, c := range map[string]struct {
		kind storetest.Kind
		err  error
		slug string
	}{
		"busy":        {storetest.NotApplied, store.ErrBusy, "busy"},
		"closed":      {storetest.NotApplied, store.ErrClosed, "busy"},
		"not applied": {storetest.NotApplied, nil, "unavailable"},
		"applied":     {storetest.Applied, nil, "unavailable"},
		"stuck":       {storetest.Stuck, nil, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			failing := storetest.NewFailing(handlerstest.OpenStore(t))
			config := Config{Plans: []string{planEU}, Patience: 500 * time.Millisecond}
			s := serve(t, config, failing, handlerstest.Quiet())
			for contentType, body := range map[string]string{"application/json": sent("b1", 0, wanted), ndjson: lines} {
				failing.FailRecord(c.kind, c.err, storetest.Always)
				a := s.register(t, contentType, body)
				require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
				require.NotEmpty(t, a.Header.Get("Retry-After"))
				p := a.Problem(t)
				require.True(t, strings.HasSuffix(p.Type, "#"+c.slug), p.Type)
				require.Contains(t, p.Detail, "0 registered; retry the whole request later")
				failing.Heal()
			}
			s = serveRegistration(t, failing)
			wantRegistered(t, 3, s.register(t, ndjson, lines))
			require.ElementsMatch(t, []string{"b1", "b2", "b3"}, s.pages(t, "/api/v1/batches", "id", 10))
		})
	}
}

// A store failure takes precedence over an invalid line: the answer must say that earlier lines may be missing.
func TestAStoreFailureBeforeAnInvalidLineIsReported(t *testing.T) {
	failing := storetest.NewFailing(handlerstest.OpenStore(t))
	failing.FailRecord(storetest.NotApplied, nil, 1)
	s := serveRegistration(t, failing)
	a := s.register(t, ndjson, sent("b1", 0, "")+"\n{}\n")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Contains(t, a.Problem(t).Detail, "0 registered")
	failing.FailRecord(storetest.Works, nil, 1)
	failing.FailRecord(storetest.NotApplied, nil, 1)
	a = s.register(t, ndjson, sent("b1", 0, "")+"\n"+sent("b2", 0, "")+"\n{")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Contains(t, a.Problem(t).Detail, "1 registered")
}

// After a store failure no further batches of the request are recorded.
func TestRegistrationStopsAtTheFirstFailure(t *testing.T) {
	failing := storetest.NewFailing(handlerstest.OpenStore(t))
	failing.FailRecord(storetest.NotApplied, nil, storetest.Always)
	s := serveRegistration(t, failing)
	a := s.register(t, ndjson, strings.Repeat(sent("b", 0, "")+"\n", 10*registrationWorkers))
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.LessOrEqual(t, failing.Calls(storetest.Record), registrationWorkers+1)
}

func TestLogsOfRegistrationShowNoNumbers(t *testing.T) {
	failing := storetest.NewFailing(handlerstest.OpenStore(t))
	var log handlerstest.Log
	s := serve(t, Config{Plans: []string{planEU}}, failing, log.Logger())
	failing.FailRecord(storetest.NotApplied, nil, 1)
	for _, body := range []string{
		sent("b", 0, ""), `{"to": ["` + alice + `"]}`, `{"to": ["` + alice + `], "id": ""}`,
		`{"` + bob + `": ` + alice + ` 1}`,
	} {
		require.GreaterOrEqual(t, s.register(t, "application/json", body).StatusCode, 400)
	}
	require.Equal(t, 4, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), alice)
	require.NotContains(t, log.String(), bob)
}
