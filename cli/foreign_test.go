package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// answering starts a server that answers each request with the result of answer, and returns its URL.
func answering(t *testing.T, answer func(r *http.Request) (status int, body string)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// atSinch returns flags that select a plan at the given base URL.
func atSinch(t *testing.T, url string) []string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("tok\n"), 0o600))
	return []string{"--base-url", url, "--plan", "p", "--token-file", token}
}

func TestAnInterruptedListPrintsTheEntriesBefore(t *testing.T) {
	sinch := answering(t, func(r *http.Request) (int, string) {
		if r.URL.Query().Get("page") == "0" {
			return http.StatusOK, `{"count": 2, "page": 0, "page_size": 1, "batches": [{"id": "FIRST", "to": ["447700900133"]}]}`
		}
		return http.StatusInternalServerError, ""
	})
	for _, asJSON := range []string{"--json=false", "--json"} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), append([]string{"batch", "list", asJSON}, atSinch(t, sinch)...), &stdout, &stderr)
		require.Equal(t, exitFailed, code)
		require.Contains(t, stdout.String(), "FIRST")
		require.Contains(t, stderr.String(), "sinch: list batches: 500 Internal Server Error")
		require.Contains(t, stderr.String(), "\nWhat to do: ")
	}
}

func TestFeedbackListReadsAllPages(t *testing.T) {
	api := answering(t, func(r *http.Request) (int, string) {
		switch r.URL.Query().Get("cursor") {
		case "":
			return http.StatusOK, `{"items": [{"plan": "p", "id": "A", "feedback": {"owed": 1, "whole_batch": "owed"}}], ` +
				`"next_cursor": "x/y"}`
		case "x/y":
			return http.StatusOK, `{"items": [], "next_cursor": "z"}`
		default:
			return http.StatusOK, `{"items": [{"plan": "p", "id": "B", "feedback": {"whole_batch": "owed"}}]}`
		}
	})
	var stdout strings.Builder
	require.Zero(t, run(t.Context(), []string{"feedback", "list", "--api", api}, &stdout, io.Discard))
	require.Regexp(t, `(?m)^A +p +whole batch, 1 +0 +- `, stdout.String())
	require.Regexp(t, `(?m)^B +p +whole batch +0 +- `, stdout.String())
}

func TestAnAnswerOfAnotherProgramIsAnError(t *testing.T) {
	for _, body := range []string{"<html>", `{"items": [1]}`} {
		api := answering(t, func(*http.Request) (int, string) { return http.StatusOK, body })
		var stderr strings.Builder
		require.Equal(t, exitFailed, run(t.Context(), []string{"feedback", "list", "--api", api}, io.Discard, &stderr))
		require.Contains(t, stderr.String(), "does not answer as dlrloop does")
	}
}

func TestRequeueRepeatsUntilAllIsDone(t *testing.T) {
	var calls atomic.Int32
	api := answering(t, func(*http.Request) (int, string) {
		return http.StatusOK, fmt.Sprintf(`{"batches": 2, "recipients": 3, "more": %t}`, calls.Add(1) < 3)
	})
	var stdout strings.Builder
	require.Zero(t, run(t.Context(), []string{"feedback", "requeue", "--all-dead", "--api", api}, &stdout, io.Discard))
	require.Equal(t, "due now: 6 batches; requeued: 9 recipients\n", stdout.String())
}

// TestReconcileRegistersInChunks checks that each batch is registered once, although the pages of the list overlap.
func TestReconcileRegistersInChunks(t *testing.T) {
	const batches = maxRegistration + 1
	sinch := answering(t, func(r *http.Request) (int, string) {
		var page, size int
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		_, _ = fmt.Sscan(r.URL.Query().Get("page_size"), &size)
		var list []string
		for i := page * size; i < min((page+1)*size, batches); i++ {
			list = append(list, fmt.Sprintf(`{"id": "B%d", "to": ["447700900133"], "body": "private", `+
				`"feedback_enabled": true}`, i))
		}
		return http.StatusOK, fmt.Sprintf(`{"count": %d, "page": %d, "page_size": %d, "batches": [%s]}`, batches, page,
			len(list), strings.Join(list, ","))
	})
	var parts, lines, asked atomic.Int32
	api := answering(t, func(r *http.Request) (int, string) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet && r.URL.Path == "/api/v1/plans/p/batches/B7":
			return http.StatusOK, `{"missing": 1, "counts": {}, "fetch": {"attempts": 0}}`
		case r.Method == http.MethodGet:
			return http.StatusOK, `{"missing": 1, "counts": {}}`
		case r.URL.Query().Get("check") == "now":
			asked.Add(int32(strings.Count(string(body), "\n")))
		default:
			parts.Add(1)
			lines.Add(int32(strings.Count(string(body), "\n")))
			if strings.Contains(string(body), "private") ||
				strings.Count(string(body), `"feedback_enabled":true`) != strings.Count(string(body), "\n") {
				return http.StatusTeapot, ""
			}
		}
		if r.Header.Get("Content-Type") != "application/x-ndjson" {
			return http.StatusUnsupportedMediaType, ""
		}
		return http.StatusOK, `{"registered": 1}`
	})
	var stdout strings.Builder
	code := run(t.Context(), append([]string{"reconcile", "--since", "1h", "--api", api, "--json"},
		atSinch(t, sinch)...), &stdout, io.Discard)
	require.Zero(t, code)
	require.Regexp(t, `"batches":501,"skipped":0,"missing":1,"missing_batches":1\}`, stdout.String())
	require.EqualValues(t, 2, parts.Load())
	require.EqualValues(t, batches, lines.Load())
	require.EqualValues(t, 1, asked.Load())
}

func TestReconcileStopsOnInterrupt(t *testing.T) {
	sinch := answering(t, func(*http.Request) (int, string) {
		return http.StatusOK, `{"count": 1, "page": 0, "page_size": 1, "batches": [{"id": "A", "to": ["447700900133"]}]}`
	})
	ctx, stop := context.WithCancel(t.Context())
	var looks atomic.Int32
	api := answering(t, func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost {
			return http.StatusOK, `{"registered": 1}`
		}
		if looks.Add(1) == 2 {
			context.AfterFunc(r.Context(), stop) // once the answer is out
		}
		return http.StatusOK, `{"missing": 1, "counts": {}, "fetch": {"attempts": 0}}`
	})
	var stderr strings.Builder
	code := run(ctx, append([]string{"reconcile", "--since", "1h", "--wait", "1h", "--api", api}, atSinch(t, sinch)...),
		io.Discard, &stderr)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr.String(), "dlrloop continues in the background")
}

// TestEntriesThatCannotBeReadAreSkipped gives each command a list with invalid entries.
func TestEntriesThatCannotBeReadAreSkipped(t *testing.T) {
	const good = `{"id":"%s","to":["447700900101"],` +
		`"created_at":"2026-11-29T12:00:00Z","modified_at":"2026-11-29T12:00:00Z"}`
	report := func(kind, batch string) string {
		return `{` + kind + `"batch_id":"` + batch +
			`","recipient":"447700900101","code":0,"status":"Delivered","at":"2026-11-29T12:00:00Z"}`
	}
	sms := `"type":"recipient_delivery_report_sms",`
	batches := strings.Join([]string{
		fmt.Sprintf(good, "BR1"), `{"to":["447700900102"],"created_at":"2026-11-29T12:00:00Z"}`, `null`, `"BR2"`,
		`{"id":"BARE"}`,
		fmt.Sprintf(good, strings.Repeat("x", 256)), `{"id":".","to":["447700900101"]}`, fmt.Sprintf(good, "BR3"),
	}, ",")
	reports := strings.Join([]string{
		report(sms, "B1"), report(`"type":"recipient_delivery_report_rcs",`, "B2"), `null`, `7`,
		report(sms, strings.Repeat("x", 256)), report("", "B3"),
	}, ",")
	sinch := answering(t, func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/delivery_reports") {
			return http.StatusOK, `{"count":6,"page":0,"page_size":6,"delivery_reports":[` + reports + `]}`
		}
		return http.StatusOK, `{"count":8,"page":0,"page_size":8,"batches":[` + batches + `]}`
	})
	registered := map[string]bool{}
	var mu sync.Mutex
	api := answering(t, func(r *http.Request) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			return http.StatusOK, `{"missing":0}`
		}
		lines, _ := io.ReadAll(r.Body)
		for _, id := range regexp.MustCompile(`"id":"([^"]*)"`).FindAllSubmatch(lines, -1) {
			registered[string(id[1])] = true
		}
		return http.StatusOK, `{"registered":1}`
	})
	for name, c := range map[string]struct {
		args    []string
		skipped int
		shown   string
	}{
		"batch list":  {[]string{"batch", "list", "--json"}, 5, `(?s)"BR1".*"BARE".*"BR3"`},
		"report list": {[]string{"report", "list", "--json"}, 4, `(?s)"B1".*"B3"`},
		"table":       {[]string{"report", "list"}, 4, `(?s)B1.*B3`},
		"reconcile":   {[]string{"reconcile", "--since", "1h", "--api", api, "--json"}, 6, `"batches":2,"skipped":6,`},
		"in words":    {[]string{"reconcile", "--since", "1h", "--api", api}, 6, `skipped +6 more`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), append(c.args, atSinch(t, sinch)...), &stdout, &stderr)
			require.Equal(t, exitFailed, code, stderr.String())
			require.Equal(t, c.skipped, strings.Count(stderr.String(), "skipped: "), stderr.String())
			require.Contains(t, stderr.String(), fmt.Sprintf("dlrloop: the list is incomplete: %d of its entries were "+
				"skipped, see above", c.skipped))
			require.NotContains(t, stderr.String(), "447700900102")
			require.Regexp(t, c.shown, stdout.String())
		})
	}
	require.Equal(t, map[string]bool{"BR1": true, "BR3": true}, registered)
}

// TestNoDocumentRepeatsAMember has answers of Sinch and of dlrloop's API that repeat members.
func TestNoDocumentRepeatsAMember(t *testing.T) {
	const (
		report = `{"type": null, "batch_id": "A", "batch_id": "B", "recipient": "1", "code": 0, "status": ` +
			`"x", "status": "Delivered", "x": {"y": 1, "y": 2}}`
		batch = `{"id": "A", "id": "B", "to": ["1"], "type": "mt_text", "type": "mt_text", "body": "b", "x": ` +
			`1, "x": {"y": 1, "y": 2}}`
		full = `{"type": "", "batch_id": "B", "total_message_count": 1, "statuses": [{"code": 0, "code": 0, ` +
			`"status": "Delivered", "count": 1}]}`
		owed = `{"plan": "p", "plan": "p", "id": "B", "feedback": {"owed": 1, "owed": 1}}`
	)
	url := answering(t, func(r *http.Request) (int, string) {
		switch path := r.URL.Path; {
		case path == "/api/v1/feedback":
			return http.StatusOK, `{"items": [` + owed + `]}`
		case path == "/api/v1/feedback/requeue":
			return http.StatusOK, `{"batches": 1, "batches": 2, "recipients": 0}`
		case strings.HasSuffix(path, "/delivery_reports"):
			return http.StatusOK, `{"count": 1, "page": 0, "delivery_reports": [` + report + `]}`
		case strings.HasSuffix(path, "/delivery_report"):
			return http.StatusOK, full
		case strings.Contains(path, "/delivery_report/"):
			return http.StatusOK, report
		case strings.HasSuffix(path, "/delivery_feedback"):
			return http.StatusAccepted, ""
		case strings.HasSuffix(path, "/dry_run"):
			return http.StatusOK, `{"number_of_recipients": 1, "number_of_messages": 1, "number_of_messages": 2}`
		case strings.HasSuffix(path, "/batches") && r.Method == http.MethodGet:
			return http.StatusOK, `{"count": 1, "page": 0, "batches": [` + batch + `]}`
		default:
			return http.StatusOK, batch
		}
	})
	sinch := atSinch(t, url)
	for command, flags := range map[string][]string{
		"report list": sinch, "report get B": sinch, "report get B --full": sinch, "report get B --recipient 1": sinch,
		"batch list": sinch, "batch get B": sinch, "batch cancel B": sinch, "batch update B --body x": sinch,
		"batch send --to 1 --from 2 --body x": sinch, "batch dry-run --to 1 --from 2 --body x": sinch,
		"batch replace B --to 1 --from 2 --body x": sinch, "feedback send B --recipient 447700900133": sinch,
		"feedback list": {"--api", url}, "feedback list --dead": {"--api", url}, "feedback requeue --all": {"--api", url},
	} {
		var stdout, stderr strings.Builder
		args := append(append(strings.Fields(command), "--json"), flags...)
		require.Zero(t, run(t.Context(), args, &stdout, &stderr), "%s: %s", command, stderr.String())
		require.Equal(t, 1, strings.Count(stdout.String(), "\n"), command)
		require.NoError(t, checkDocuments(stdout.String()), command)
	}
}
