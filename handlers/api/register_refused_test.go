package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

func TestRegistrationRefusesInvalidBatches(t *testing.T) {
	s := serveRegistration(t, handlerstest.OpenStore(t))
	long := strings.Repeat("x", dlr.MaxBatchID)
	for body, want := range map[string]string{
		``:                              "invalid body: unexpected end of JSON input",
		`{`:                             "invalid body: unexpected end of JSON input",
		`null`:                          "invalid body: it is null, not a JSON object",
		`[{"id": "b", "to": ["1"]}]`:    "invalid body: it is not a JSON object",
		`{}`:                            "id is missing",
		`{"to": ["` + alice + `"]}`:     "id is missing",
		`{"id": "", "to": ["1"]}`:       "id is missing",
		`{"id": {}, "to": ["1"]}`:       "id is missing",
		`{"id": "b"}`:                   "to and created_at are missing",
		`{"id": "b", "to": []}`:         "to and created_at are missing",
		`{"id": "b", "to": "1"}`:        "to and created_at are missing",
		sent(long+"x", 0, ""):           "id is longer than 255 bytes",
		sent("b", 0, "") + `{}`:         "invalid body",
		`{"id": "b", ` + alice + `: 1}`: "invalid body",
	} {
		for _, contentType := range []string{"application/json", ndjson} {
			if body == "" && contentType == ndjson {
				continue // an empty NDJSON body is valid: no batches
			}
			a := s.register(t, contentType, body)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, body)
			p := a.Problem(t)
			require.Contains(t, p.Detail, want)
			require.Contains(t, p.Detail, "expected: a batch as Sinch returned it (0 registered)")
			require.Equal(t, contentType == ndjson, strings.HasPrefix(p.Detail, "line 1: "), p.Detail)
		}
	}
	require.Empty(t, s.pages(t, "/api/v1/batches", "id", 10))

	wantRegistered(t, 1, s.register(t, "Application/JSON; charset=utf-8", sent(long, 0, "")))
	wantRegistered(t, 1, s.register(t, "application/json", `{"id": 7, "created_at": "2026-03-02T10:00:00Z"}`))
	require.ElementsMatch(t, []string{long, "7"}, s.pages(t, "/api/v1/batches", "id", 10))
}

func TestRegistrationRefusesInvalidRequests(t *testing.T) {
	s := serveRegistration(t, handlerstest.OpenStore(t))
	for _, contentType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "application/json;charset", "application/ndjson",
	} {
		a := s.register(t, contentType, sent("b", 0, ""))
		require.Equal(t, http.StatusUnsupportedMediaType, a.StatusCode, contentType)
	}
	for _, plan := range []string{"acme", "ACME-EU", "acme-eu%20", "%2A"} {
		a := s.call(t, http.MethodPost, "/api/v1/plans/"+plan+"/batches", sent("b", 0, ""), nil)
		require.Equal(t, http.StatusNotFound, a.StatusCode, plan)
		require.Contains(t, a.Problem(t).Detail, "is not configured")
	}
	for query, parameter := range map[string]string{
		"check=later": "check", "check=now&check=now": "check",
		"plan=x": "plan",
	} {
		a := s.call(t, http.MethodPost, registerAddress+"?"+query, sent("b", 0, ""), nil)
		require.Equal(t, http.StatusBadRequest, a.StatusCode, query)
		require.Equal(t, parameter, a.Problem(t).Parameter)
	}
	a := s.call(t, http.MethodPost, registerAddress, sent("b", 0, ""), http.Header{"Sec-Fetch-Site": {"cross-site"}})
	require.Equal(t, http.StatusForbidden, a.StatusCode)
	require.Equal(t, http.StatusMethodNotAllowed, s.get(t, registerAddress).StatusCode)
	require.Empty(t, s.pages(t, "/api/v1/batches", "id", 10))

	closed := serve(t, Config{Plans: []string{planEU}, Bearer: []string{"secret"}}, handlerstest.OpenStore(t),
		handlerstest.Quiet())
	require.Equal(t, http.StatusUnauthorized, closed.register(t, "application/json", sent("b", 0, "")).StatusCode)
	a = closed.call(t, http.MethodPost, registerAddress, sent("b", 0, ""),
		http.Header{"Authorization": {"Bearer secret"}})
	wantRegistered(t, 1, a)
}

// Lines before an invalid one are registered, lines after it are not.
func TestAnInvalidLineIsReportedByItsNumber(t *testing.T) {
	s := serveRegistration(t, handlerstest.OpenStore(t))
	a := s.register(t, ndjson,
		sent("b1", 0, "")+"\n\n"+sent("b2", 0, "")+"\n{\"to\": [\""+alice+"\"]}\n"+sent("b3", 0, ""))
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
	require.Equal(t, "line 4: id is missing; expected: a batch as Sinch returned it (2 registered)",
		a.Problem(t).Detail)
	require.ElementsMatch(t, []string{"b1", "b2"}, s.pages(t, "/api/v1/batches", "id", 10))
}

func TestRegistrationIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	s := serveRegistration(t, handlerstest.OpenStore(t))
	// padded returns a batch of the given size in bytes.
	padded := func(id string, bytes int) string {
		short := sent(id, 0, "")
		return short + strings.Repeat(" ", bytes-len(short)-1) + "\t"
	}
	tooLarge := func(want string, a handlerstest.Reply) {
		t.Helper()
		require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
		require.Equal(t, want, a.Problem(t).Detail)
	}
	wantRegistered(t, 1, s.register(t, "application/json", padded("one", maxRegistered)))
	tooLarge("the limit is 4194304 bytes (0 registered)",
		s.register(t, "application/json", padded("no", maxRegistered+1)))
	wantRegistered(t, 2, s.register(t, ndjson, padded("two", maxRegistered)+"\n"+padded("three", maxRegistered)))
	tooLarge("line 2: a line is limited to 4194304 bytes (1 registered)",
		s.register(t, ndjson, sent("four", 0, "")+"\n"+padded("no", maxRegistered+1)+"\n"))
	blank := strings.Repeat(" ", maxRegistered-1) + "\n"
	five := sent("five", 0, "") + "\n"
	tooLarge("the limit is 67108864 bytes (1 registered)", s.register(t, ndjson, five+strings.Repeat(blank, 16)))
	cut := strings.Repeat(" ", maxRegistered-len(five)-20) + sent("no", 0, "")
	tooLarge("the limit is 67108864 bytes (1 registered)", s.register(t, ndjson, five+strings.Repeat(blank, 15)+cut))
	tooLarge("the limit is 10000 lines (1 registered)",
		s.register(t, ndjson, sent("six", 0, "")+strings.Repeat("\n", maxRegisteredLines)+sent("no", 0, "")))
	wantRegistered(t, 1, s.register(t, ndjson, strings.Repeat("\n", maxRegisteredLines-1)+sent("seven", 0, "")))
	require.ElementsMatch(t, []string{"one", "two", "three", "four", "five", "six", "seven"},
		s.pages(t, "/api/v1/batches", "id", 10))
}
