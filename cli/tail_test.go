package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// feedSteps serves a feed. Each request gets the next of the answers; after the last one the feed stays silent.
type feedSteps struct {
	*httptest.Server
	mu      sync.Mutex // guards queries and answers
	queries []string
	answers []func(http.ResponseWriter)
}

func serveSteps(t *testing.T, answers ...func(http.ResponseWriter)) *feedSteps {
	t.Helper()
	f := &feedSteps{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.queries = append(f.queries, r.URL.Path+"?"+r.URL.RawQuery)
		var answer func(http.ResponseWriter)
		if len(f.answers) > 0 {
			answer, f.answers = f.answers[0], f.answers[1:]
		}
		f.mu.Unlock()
		if answer == nil {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		answer(w)
	}))
	t.Cleanup(f.Close)
	return f
}

// lines answers with lines. It then breaks the connection off unless complete is true.
func lines(complete bool, lines ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
		w.(http.Flusher).Flush()
		if !complete {
			panic(http.ErrAbortHandler)
		}
	}
}

func refuses(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func lineOf(n int, kind, data string) string {
	return fmt.Sprintf(`{"cursor":"c%d","event":{"id":"evt_%d","type":%q,"timestamp":"2026-03-02T10:00:0%d.000Z",`+
		`"data":{"plan":"acme",%s}}}`, n, n, kind, n, data)
}

func statusLine(n int, status string, code int, name string) string {
	return lineOf(n, "recipient.status", fmt.Sprintf(`"batch_id":"01KJQ5Z3C0AAAA0000000000A1","version":%d,`+
		`"recipient":"+447700900133","status":%q,"code":%d,"code_name":%q`, n, status, code, name))
}

// tailed runs dlrloop tail until it ends.
func tailed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir()) // without a configuration
	var out, log bytes.Buffer
	code = run(t.Context(), append([]string{"tail"}, args...), &out, &log)
	return code, out.String(), log.String()
}

func TestTailPrintsOneLineForEachEvent(t *testing.T) {
	f := serveSteps(t, lines(true,
		statusLine(1, "Dispatched", 401, "Dispatched"),
		`{"cursor":"c1"}`,
		statusLine(2, "Delivered", 0, "no error, or unknown error"),
		statusLine(3, "Failed", 153, "absent subscriber"),
		lineOf(4, "batch.completed", `"batch_id":"B","counts":[{"status":"Dispatched","final":false,"messages":3},`+
			`{"status":"Failed","final":true,"messages":1},{"status":"Delivered","final":true,"messages":1},`+
			`{"status":"Failed","final":true,"messages":1}]`),
		lineOf(5, "feedback.accepted", `"batch_id":"B","recipients":["1","2"]`),
		lineOf(6, "feedback.dead", `"batch_id":"B","recipients":[],"whole_batch":true,"reason":"rejected","detail":"400 x"`),
		lineOf(7, "inbound.received", `"inbound_id":"M","from":"447700900133","to":"54321","body":"STOP\n"`),
		lineOf(8, "callback.quarantined", `"key":"7","reason":"unknown_type","callback_type":"rcs"`),
		lineOf(9, "later.version", `"batch_id":"B"`),
		`{"cursor":"c9"}`))
	code, out, log := tailed(t, "--api", f.URL, "--no-follow", "--after", "oldest", "--status", "failed,other",
		"--type", "recipient.status", "--number", "+447700900133", "--plan", "acme", "--batch", "B")
	require.Zero(t, code, log)
	require.Empty(t, log)
	require.Equal(t, `
2026-03-02T10:00:01.000Z  Dispatched            +447700900133    01KJQ5Z3C0AAAA0000000000A1  acme  401
2026-03-02T10:00:02.000Z  Delivered             +447700900133    01KJQ5Z3C0AAAA0000000000A1  acme
2026-03-02T10:00:03.000Z  Failed                +447700900133    01KJQ5Z3C0AAAA0000000000A1  acme  153 absent subscriber
2026-03-02T10:00:04.000Z  batch.completed                        B                           acme  2 Failed, 1 Delivered
2026-03-02T10:00:05.000Z  feedback.accepted     2 recipients     B                           acme
2026-03-02T10:00:06.000Z  feedback.dead         whole batch      B                           acme  rejected: 400 x
2026-03-02T10:00:07.000Z  inbound.received      447700900133     M                           acme  to 54321: STOP\n
2026-03-02T10:00:08.000Z  callback.quarantined                   7                           acme  unknown_type rcs
2026-03-02T10:00:09.000Z  later.version                          B                           acme
`, "\n"+out)
	require.Equal(t, []string{"/api/v1/events?batch=B&follow=false&number=%2B447700900133&plan=acme&" +
		"status=failed%2Cother&type=recipient.status"}, f.queries)
}

func TestTailAsJSON(t *testing.T) {
	line := statusLine(1, "Failed", 153, "absent <subscriber>")
	f := serveSteps(t, lines(true, line, `{"cursor":"c1"}`))
	code, out, log := tailed(t, "--api", f.URL, "--no-follow", "--json")
	require.Zero(t, code, log)
	require.Equal(t, line+"\n", out)
	require.Equal(t, []string{"/api/v1/events?after=now&follow=false"}, f.queries)
}

func TestTailColorsTheStatus(t *testing.T) {
	for _, c := range []struct{ line, begins string }{
		{statusLine(1, "Delivered", 0, ""), "\x1b[32mDelivered           \x1b[0m"},
		{statusLine(1, "Rejected", 0, ""), "\x1b[31mRejected"},
		{statusLine(1, "Unknown", 0, ""), "\x1b[33mUnknown"},
		{statusLine(1, "Queued", 0, ""), "\x1b[34mQueued"},
		{lineOf(1, "feedback.dead", `"reason":""`), "\x1b[31mfeedback.dead"},
		{lineOf(1, "inbound.received", `"to":""`), "\x1b[35minbound.received"},
	} {
		f := serveSteps(t, lines(true, c.line))
		a, err := newAPI(f.URL, time.Minute)
		require.NoError(t, err)
		var out bytes.Buffer
		p := tailPrinter{out: &out, color: true}
		require.NoError(t, newFeed(a, time.Minute).read(t.Context(), nil, p.print))
		require.Contains(t, out.String(), "2026-03-02T10:00:01.000Z  "+c.begins)
	}
}

// Tail continues at the place that it reached, whatever ends a connection.
func TestTailConnectsAgain(t *testing.T) {
	f := serveSteps(t,
		lines(false, statusLine(1, "Queued", 400, "Queued"), `{"cursor":"c2"}`),
		refuses(503, `{"detail":"draining"}`),
		refuses(502, ``),
		lines(true, statusLine(3, "Failed", 5, "five")),
		refuses(410, `{"detail":"deleted","oldest_cursor":"c7"}`),
		lines(true, statusLine(8, "Delivered", 0, "")),
	)
	var out, log bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	a, err := newAPI(f.URL, time.Minute)
	require.NoError(t, err)
	tail := &tail{
		feed: newFeed(a, time.Minute), query: tailFlags{after: afterNow}.query(), follow: true,
		reconnect: time.Millisecond, log: &log,
		show: func(line feedLine) error {
			if line.Cursor == "c8" {
				stop() // as Ctrl-C does
			}
			return tailPrinter{out: &out}.print(line)
		},
	}
	require.NoError(t, tail.run(ctx))
	require.Equal(t, []string{
		"/api/v1/events?after=now", "/api/v1/events?after=c2", "/api/v1/events?after=c2", "/api/v1/events?after=c2",
		"/api/v1/events?after=c3", "/api/v1/events?after=c7",
	}, f.queries)
	require.Equal(t, 3, strings.Count(out.String(), "\n"))
	shown := strings.ReplaceAll(log.String(), f.URL, "URL")
	require.Equal(t, `dlrloop: URL: unexpected EOF; connecting again in 1ms
dlrloop: URL answers 503 Service Unavailable: draining; connecting again in 2ms
dlrloop: URL answers 502 Bad Gateway; connecting again in 4ms
dlrloop: connected again
dlrloop: dlrloop shuts down; connecting again in 1ms
dlrloop: some events are no longer kept and were missed; continuing with the oldest one
dlrloop: connected again
`, shown)
}

// A crash of dlrloop cuts a line off; a proxy in between may end the answer as if it were complete.
func TestTailConnectsAgainAfterHalfALine(t *testing.T) {
	for name, end := range map[string]func(){
		"broken off": func() { panic(http.ErrAbortHandler) },
		"ended":      func() {},
	} {
		t.Run(name, func(t *testing.T) {
			second := statusLine(2, "Delivered", 0, "")
			f := serveSteps(t, func(w http.ResponseWriter) {
				_, _ = io.WriteString(w, statusLine(1, "Queued", 400, "Queued")+"\n"+second[:len(second)/2])
				w.(http.Flusher).Flush()
				end()
			}, lines(true, second))
			var log bytes.Buffer
			var cursors []string
			ctx, stop := context.WithCancel(t.Context())
			a, err := newAPI(f.URL, time.Minute)
			require.NoError(t, err)
			tail := &tail{
				feed: newFeed(a, time.Minute), query: tailFlags{after: afterNow}.query(), follow: true,
				reconnect: time.Millisecond, log: &log,
				show: func(line feedLine) error {
					if cursors = append(cursors, line.Cursor); line.Cursor == "c2" {
						stop()
					}
					return nil
				},
			}
			require.NoError(t, tail.run(ctx))
			require.Equal(t, []string{"c1", "c2"}, cursors)
			require.Equal(t, "dlrloop: URL: unexpected EOF; connecting again in 1ms\ndlrloop: connected again\n",
				strings.ReplaceAll(log.String(), f.URL, "URL"))
		})
	}
}

// A connection without even a heartbeat is given up.
func TestTailNoticesADeadConnection(t *testing.T) {
	f := serveSteps(t)
	a, err := newAPI(f.URL, time.Minute)
	require.NoError(t, err)
	silent := newFeed(a, time.Minute)
	silent.quiet = 20 * time.Millisecond
	require.ErrorIs(t, silent.read(t.Context(), nil, nil), errFeedQuiet)
}

func TestTailFails(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		says   string
	}{
		"no feed":     {refuses(404, `{"detail":"set events.keep"}`), "404 Not Found: set events.keep"},
		"credentials": {refuses(401, ``), "What to do: the API needs private.credentials"},
		"busy":        {refuses(503, ``), "What to do: run the same command later"},
		"old cursor":  {refuses(410, `{}`), "What to do: begin with --after oldest or --after now"},
		"not dlrloop": {lines(true, "<html>"), "does not answer as dlrloop does"},
		"broken off":  {lines(false, `{"cursor":"c1"}`), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--api", serveSteps(t, c.answer).URL}
			if name == "broken off" {
				args = append(args, "--no-follow")
			}
			code, _, log := tailed(t, args...)
			require.Equal(t, exitFailed, code)
			require.Contains(t, log, c.says)
		})
	}
	code, _, log := tailed(t, "--api", "http://127.0.0.1:1")
	require.Equal(t, exitFailed, code)
	require.Contains(t, log, "What to do: start it (dlrloop serve), or set --api to its URL")
	code, _, _ = tailed(t, "--after", "", "--api", "http://127.0.0.1:1")
	require.Equal(t, exitUsage, code)
}
