package handlers

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const registerAddress = "/api/v1/plans/acme-eu/batches"

// sent is a batch to alice and bob as Sinch returns it, modified so long after the morning began.
func sent(id string, modified time.Duration, members string) string {
	return fmt.Sprintf(`{"id":%q,"to":["%s","%s"],"canceled":false,"type":"mt_text","body":"Hi","created_at":%q,"modified_at":%q%s}`,
		id, alice, bob, morning(0).Format(time.RFC3339Nano), morning(modified).Format(time.RFC3339Nano), members)
}

const wanted = `,"delivery_report":"per_recipient","feedback_enabled":true`

// serveRegistration serves s for the plans of the told world.
func serveRegistration(t *testing.T, s store.Store) privateServer {
	t.Helper()
	return servePrivate(t, PrivateConfig{Plans: []string{planEU, planUS}}, s, quiet())
}

// register sends a body; lines are NDJSON.
func (s privateServer) register(t *testing.T, contentType, body string) reply {
	t.Helper()
	return s.call(t, http.MethodPost, registerAddress, body, http.Header{"Content-Type": {contentType}})
}

const ndjson = "application/x-ndjson"

// wantRegistered wants a good answer that says n.
func wantRegistered(t *testing.T, n int, a reply) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
	require.JSONEq(t, fmt.Sprintf(`{"registered": %d}`, n), string(a.body))
}

// without is a batch's view without the members named.
func (s privateServer) without(t *testing.T, id string, members ...string) map[string]any {
	t.Helper()
	view := read[map[string]any](t, s.get(t, registerAddress+"/"+id))
	for _, member := range members {
		delete(view, member)
	}
	return view
}

func TestARegisteredBatchIsKnownBeforeItsFirstReport(t *testing.T) {
	st := openStore(t)
	s := serveRegistration(t, st)
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", 0, wanted+`,"client_reference":"otp/1"`)))

	view := s.without(t, "b", "first_at", "last_at")
	check := view["check"].(map[string]any)
	require.NotEmpty(t, check["due"])
	delete(view, "check")
	require.Equal(t, map[string]any{
		"plan": planEU, "id": "b", "client_reference": "otp/1", "total": 0.0, "lacking": 2.0,
		"counts": map[string]any{}, "recipients_by_status": map[string]any{}, "reported": []any{}, "reports": []any{},
		"feedback": map[string]any{"flag": "wanted", "owed": 0.0, "sent": 0.0, "dead": 0.0, "dropped": 0.0, "full_report_wanted": false},
		"facts": map[string]any{
			"missing": false, "feedback_enabled": true, "delivery_report": "per_recipient", "client_reference": "otp/1",
			"recipients": 2.0, "groups": 0.0, "canceled": false, "source": "registered",
			"created_at": "2026-03-02T10:00:00.000Z", "modified_at": "2026-03-02T10:00:00.000Z",
		},
	}, view)
	require.Equal(t, []string{alice, bob}, s.pages(t, registerAddress+"/b/recipients", "number", 1))
	require.Equal(t, []string{"b"}, s.pages(t, "/api/v1/batches?client_reference=otp/1", "id", 1))

	record(t, st, planEU, now(), called(t, recipientBody("b", alice, "Delivered", 0, morning(time.Second))))
	view = s.without(t, "b")
	require.Equal(t, 1.0, view["lacking"])
	require.Equal(t, 1.0, view["feedback"].(map[string]any)["owed"], "nobody has to ask Sinch whether feedback is wanted")
}

func TestTheSameBatchAgainChangesNothing(t *testing.T) {
	s := serveRegistration(t, openStore(t))
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Minute, wanted)))
	before := s.without(t, "b", "last_at")
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Minute, wanted)))
	require.Equal(t, before, s.without(t, "b", "last_at"))
	wantRegistered(t, 1, s.register(t, "application/json", sent("b", time.Second, `,"canceled":true`)))
	require.Equal(t, before, s.without(t, "b", "last_at"), "an older modification")
	wantRegistered(t, 2, s.register(t, ndjson, sent("b", time.Hour, "")+"\n"+sent("b", time.Minute, wanted)))
	require.Equal(t, "unwanted", s.without(t, "b")["feedback"].(map[string]any)["flag"], "a newer one")
	stats := read[struct {
		Plans []struct{ Batches, Recipients int }
	}](t, s.get(t, "/api/v1/stats"))
	require.Equal(t, []struct{ Batches, Recipients int }{{1, 2}}, stats.Plans)
}

func TestBatchesAreRegisteredALine(t *testing.T) {
	st := openStore(t)
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

func TestCheckNowHasSinchAskedAtOnce(t *testing.T) {
	st := openStore(t)
	s := serveRegistration(t, st)
	overdue := func() (ids []string) {
		s.without(t, "later") // Overdue sees what is folded, as reads do
		batches, err := st.Overdue(t.Context(), planEU, now(), 10)
		require.NoError(t, err)
		for _, b := range batches {
			ids = append(ids, b.ID)
		}
		return ids
	}
	wantRegistered(t, 1, s.register(t, "application/json", strings.ReplaceAll(sent("later", 0, wanted), "2026-03-02", now().Format(time.DateOnly))))
	require.Empty(t, overdue())
	a := s.call(t, http.MethodPost, registerAddress+"?check=now", sent("now", 0, wanted)+"\n"+sent("none", 0, ""), http.Header{"Content-Type": {ndjson}})
	wantRegistered(t, 2, a)
	require.Equal(t, []string{"now"}, overdue(), "what no report was asked for lacks none")
}

// A line is kept when it comes, not when the body has ended.
func TestLinesAreKeptAsTheyCome(t *testing.T) {
	st := openStore(t)
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
	wantRegistered(t, 2, reply{a, got})
}

func TestRegistrationRefusesWhatIsNoBatch(t *testing.T) {
	s := serveRegistration(t, openStore(t))
	long := strings.Repeat("x", maxBatchID)
	for body, want := range map[string]string{
		``:                              "not readable: unexpected end of JSON input",
		`{`:                             "not readable: unexpected end of JSON input",
		`null`:                          "not readable: it is null, not a JSON object",
		`[{"id": "b", "to": ["1"]}]`:    "not readable: it is not a JSON object",
		`{}`:                            "no id",
		`{"to": ["` + alice + `"]}`:     "no id",
		`{"id": "", "to": ["1"]}`:       "no id",
		`{"id": {}, "to": ["1"]}`:       "no id",
		`{"id": "b"}`:                   "neither to nor created_at",
		`{"id": "b", "to": []}`:         "neither to nor created_at",
		`{"id": "b", "to": "1"}`:        "neither to nor created_at",
		sent(long+"x", 0, ""):           "an id of more than 255 bytes",
		sent("b", 0, "") + `{}`:         "not readable",
		`{"id": "b", ` + alice + `: 1}`: "not readable",
	} {
		for _, contentType := range []string{"application/json", ndjson} {
			if body == "" && contentType == ndjson {
				continue // no batches, which is none too many
			}
			a := s.register(t, contentType, body)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, body)
			p := decodeProblem(t, a)
			require.Contains(t, p.Detail, want)
			require.Contains(t, p.Detail, "wanted: a batch as Sinch returned it (0 registered)")
			require.Equal(t, contentType == ndjson, strings.HasPrefix(p.Detail, "line 1: "), p.Detail)
		}
	}
	require.Empty(t, s.pages(t, "/api/v1/batches", "id", 10))

	wantRegistered(t, 1, s.register(t, "Application/JSON; charset=utf-8", sent(long, 0, "")))
	wantRegistered(t, 1, s.register(t, "application/json", `{"id": 7, "created_at": "2026-03-02T10:00:00Z"}`))
	require.ElementsMatch(t, []string{long, "7"}, s.pages(t, "/api/v1/batches", "id", 10))
}

func TestRegistrationRefusesWhatIsNotMeantForIt(t *testing.T) {
	s := serveRegistration(t, openStore(t))
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json;charset", "application/ndjson"} {
		a := s.register(t, contentType, sent("b", 0, ""))
		require.Equal(t, http.StatusUnsupportedMediaType, a.StatusCode, contentType)
	}
	for _, plan := range []string{"acme", "ACME-EU", "acme-eu%20", "%2A"} {
		a := s.call(t, http.MethodPost, "/api/v1/plans/"+plan+"/batches", sent("b", 0, ""), nil)
		require.Equal(t, http.StatusNotFound, a.StatusCode, plan)
		require.Contains(t, decodeProblem(t, a).Detail, "is not configured")
	}
	for query, parameter := range map[string]string{"check=later": "check", "check=now&check=now": "check", "plan=x": "plan"} {
		a := s.call(t, http.MethodPost, registerAddress+"?"+query, sent("b", 0, ""), nil)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, query)
		require.Equal(t, parameter, decodeProblem(t, a).Parameter)
	}
	a := s.call(t, http.MethodPost, registerAddress, sent("b", 0, ""), http.Header{"Sec-Fetch-Site": {"cross-site"}})
	require.Equal(t, http.StatusForbidden, a.StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, s.get(t, registerAddress).StatusCode)
	require.Empty(t, s.pages(t, "/api/v1/batches", "id", 10))

	closed := servePrivate(t, PrivateConfig{Plans: []string{planEU}, Bearer: []string{"secret"}}, openStore(t), quiet())
	require.Equal(t, http.StatusUnauthorized, closed.register(t, "application/json", sent("b", 0, "")).StatusCode)
	a = closed.call(t, http.MethodPost, registerAddress, sent("b", 0, ""), http.Header{"Authorization": {"Bearer secret"}})
	wantRegistered(t, 1, a)
}

// What comes before a bad line is registered, what comes behind it is not.
func TestABadLineIsNamed(t *testing.T) {
	s := serveRegistration(t, openStore(t))
	a := s.register(t, ndjson, sent("b1", 0, "")+"\n\n"+sent("b2", 0, "")+"\n{\"to\": [\""+alice+"\"]}\n"+sent("b3", 0, ""))
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
	require.Equal(t, "line 4: no id; wanted: a batch as Sinch returned it (2 registered)", decodeProblem(t, a).Detail)
	require.ElementsMatch(t, []string{"b1", "b2"}, s.pages(t, "/api/v1/batches", "id", 10))
}

func TestRegistrationIsBounded(t *testing.T) {
	s := serveRegistration(t, openStore(t))
	// padded is a batch of so many bytes.
	padded := func(id string, bytes int) string {
		short := sent(id, 0, "")
		return short + strings.Repeat(" ", bytes-len(short)-1) + "\t"
	}
	tooLarge := func(want string, a reply) {
		t.Helper()
		require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
		require.Equal(t, want, decodeProblem(t, a).Detail)
	}
	wantRegistered(t, 1, s.register(t, "application/json", padded("one", maxRegistered)))
	tooLarge("the limit is 4194304 bytes (0 registered)", s.register(t, "application/json", padded("no", maxRegistered+1)))
	wantRegistered(t, 2, s.register(t, ndjson, padded("two", maxRegistered)+"\n"+padded("three", maxRegistered)))
	tooLarge("line 2: the limit of a line is 4194304 bytes (1 registered)",
		s.register(t, ndjson, sent("four", 0, "")+"\n"+padded("no", maxRegistered+1)+"\n"))
	blank := strings.Repeat(" ", maxRegistered-1) + "\n"
	five := sent("five", 0, "") + "\n"
	tooLarge("the limit is 67108864 bytes (1 registered)", s.register(t, ndjson, five+strings.Repeat(blank, 16)))
	cut := strings.Repeat(" ", maxRegistered-len(five)-20) + sent("no", 0, "")
	tooLarge("the limit is 67108864 bytes (1 registered)", s.register(t, ndjson, five+strings.Repeat(blank, 15)+cut))
	tooLarge("the limit is 10000 lines (1 registered)",
		s.register(t, ndjson, sent("six", 0, "")+strings.Repeat("\n", maxRegisteredLines)+sent("no", 0, "")))
	wantRegistered(t, 1, s.register(t, ndjson, strings.Repeat("\n", maxRegisteredLines-1)+sent("seven", 0, "")))
	require.ElementsMatch(t, []string{"one", "two", "three", "four", "five", "six", "seven"}, s.pages(t, "/api/v1/batches", "id", 10))
}

// Failures of every kind are told, with what is registered all the same; the same call then does the rest.
func TestRegistrationThatFailsMayBeRepeated(t *testing.T) {
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
			failing := storetest.NewFailing(openStore(t))
			s := servePrivate(t, PrivateConfig{Plans: []string{planEU}, Patience: 500 * time.Millisecond}, failing, quiet())
			for contentType, body := range map[string]string{"application/json": sent("b1", 0, wanted), ndjson: lines} {
				failing.FailRecord(c.kind, c.err, storetest.Always)
				a := s.register(t, contentType, body)
				require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
				require.NotEmpty(t, a.Header.Get("Retry-After"))
				p := decodeProblem(t, a)
				require.True(t, strings.HasSuffix(p.Type, "#"+c.slug), p.Type)
				require.Contains(t, p.Detail, "0 registered; the same call will do later")
				failing.Heal()
			}
			s = serveRegistration(t, failing)
			wantRegistered(t, 3, s.register(t, ndjson, lines))
			require.ElementsMatch(t, []string{"b1", "b2", "b3"}, s.pages(t, "/api/v1/batches", "id", 10))
		})
	}
}

// The store's failure counts for more than a bad line: only it tells that the lines before may not all be kept.
func TestAFailureBeforeABadLineIsTold(t *testing.T) {
	failing := storetest.NewFailing(openStore(t))
	failing.FailRecord(storetest.NotApplied, nil, 1)
	s := serveRegistration(t, failing)
	a := s.register(t, ndjson, sent("b1", 0, "")+"\n{}\n")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Contains(t, decodeProblem(t, a).Detail, "0 registered")
	failing.FailRecord(storetest.Works, nil, 1)
	failing.FailRecord(storetest.NotApplied, nil, 1)
	a = s.register(t, ndjson, sent("b1", 0, "")+"\n"+sent("b2", 0, "")+"\n{")
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Contains(t, decodeProblem(t, a).Detail, "1 registered")
}

// A store that fails is not asked for the rest of a request in vain.
func TestRegistrationEndsWithTheFirstFailure(t *testing.T) {
	failing := storetest.NewFailing(openStore(t))
	failing.FailRecord(storetest.NotApplied, nil, storetest.Always)
	s := serveRegistration(t, failing)
	a := s.register(t, ndjson, strings.Repeat(sent("b", 0, "")+"\n", 10*registrationWorkers))
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.LessOrEqual(t, failing.Calls(storetest.Record), registrationWorkers+1)
}

func TestLogsOfRegistrationShowNoNumbers(t *testing.T) {
	failing := storetest.NewFailing(openStore(t))
	var log logged
	s := servePrivate(t, PrivateConfig{Plans: []string{planEU}}, failing, log.debug())
	failing.FailRecord(storetest.NotApplied, nil, 1)
	for _, body := range []string{sent("b", 0, ""), `{"to": ["` + alice + `"]}`, `{"to": ["` + alice + `], "id": ""}`, `{"` + bob + `": ` + alice + ` 1}`} {
		require.GreaterOrEqual(t, s.register(t, "application/json", body).StatusCode, 400)
	}
	require.Equal(t, 4, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), alice)
	require.NotContains(t, log.String(), bob)
}
