package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// memoryLog is an EventLog in memory. The cursor after n events is "c<n>".
type memoryLog struct {
	mu     sync.Mutex // guards the fields below
	events []store.Event
	first  int   // how many of the events were deleted
	reads  int   // calls of Events
	err    error // what each call returns, if set
}

func (l *memoryLog) add(events ...store.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
}

// trim deletes all events before the n-th.
func (l *memoryLog) trim(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = n
}

func (l *memoryLog) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// wait waits until the feed has read the log several times.
func (l *memoryLog) wait(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.reads > 2
	}, 10*time.Second, time.Millisecond)
}

func cursorAt(n int) string { return "c" + strconv.Itoa(n) }

func (l *memoryLog) Events(ctx context.Context, cursor string, limit int) (store.EventPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if err := ctx.Err(); err != nil || l.err != nil {
		return store.EventPage{}, cmp.Or(err, l.err)
	}
	from := l.first
	if cursor != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(cursor, "c"))
		if err != nil {
			return store.EventPage{}, store.ErrCursor
		}
		if n < l.first || n > len(l.events) {
			return store.EventPage{}, fmt.Errorf("read: %w", &store.CursorGoneError{Oldest: cursorAt(l.first)})
		}
		from = n
	}
	to := min(from+limit, len(l.events))
	p := store.EventPage{
		Events: append([]store.Event(nil), l.events[from:to]...), Next: cursor,
		Cursor: func(i int) string { return cursorAt(from + i + 1) },
	}
	if to > from {
		p.Next = cursorAt(to)
	}
	return p, nil
}

func (l *memoryLog) EventsEnd(context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cursorAt(len(l.events)), l.err
}

// sampleEvents returns an event of each type, and a ReportReceived, which the feed leaves out.
func sampleEvents() []store.Event {
	otp := func(n int, e store.Event) store.Event {
		e.At, e.Plan, e.BatchID, e.ClientReference = morning(time.Duration(n)*time.Second), planEU, batchOTP, "otp/8a02"
		e.Version = e.At.UnixMilli()
		return e
	}
	mo := `{"type":"mo_text","id":"M1","from":"` + alice + `","to":"54321","body":"STOP",
		"operator_id":"23415","sent_at":"2026-03-02T10:29:59Z","received_at":"2026-03-02T10:30:00.662Z"}`
	return []store.Event{
		otp(1, store.Event{Type: store.ReportReceived, Raw: []byte(`{}`)}),
		otp(2, store.Event{
			Type: store.RecipientStatus, Number: "+" + alice,
			State: dlr.State{Status: dlr.Dispatched, Code: 401, At: morning(time.Second)},
		}),
		otp(3, store.Event{
			Type: store.RecipientStatus, Number: alice,
			State: dlr.State{Status: dlr.Delivered, At: morning(2 * time.Second), OperatorAt: morning(time.Second)},
		}),
		otp(4, store.Event{
			Type: store.RecipientStatus, Number: bob, State: dlr.State{Status: "Paused", Code: dlr.NoCode},
		}),
		otp(5, store.Event{Type: store.BatchCompleted, Counts: []store.StatusCount{
			{Status: dlr.Delivered, Messages: 1}, {Status: dlr.Failed, Code: dlr.NoCode, Messages: 1},
		}}),
		otp(6, store.Event{Type: store.FeedbackAccepted, Recipients: []string{alice}}),
		otp(7, store.Event{
			Type: store.FeedbackGivenUp, Recipients: []string{}, WholeBatch: true,
			Reason: store.ReasonRejected, Detail: "400 syntax_constraint_violation",
		}),
		{Type: store.InboundReceived, At: morning(8 * time.Second), Plan: planEU, Key: "M1", Raw: []byte(mo)},
		{Type: store.InboundReceived, At: morning(9 * time.Second), Plan: planUS, Key: "M2", Raw: []byte("\xff")},
		{
			Type: store.CallbackQuarantined, At: morning(10 * time.Second), Plan: planUS, Key: "7",
			Misread: dlr.UnknownType, CallbackType: "delivery_report_rcs",
		},
	}
}

// feedServer serves the feed of a log on a real socket.
type feedServer struct {
	*httptest.Server
	api *API
	log *memoryLog
}

// serveFeed serves the feed of a log with short intervals. The http.Server has short timeouts, which must not end the
// feed.
func serveFeed(t *testing.T, c Config, l *memoryLog, logger *slog.Logger) feedServer {
	t.Helper()
	c.Listen, c.Events = "127.0.0.1:0", l
	p, err := New(c, handlerstest.OpenStore(t), http.NotFoundHandler(), logger)
	require.NoError(t, err)
	p.times = feedTimes{poll: time.Millisecond, heartbeat: time.Hour, write: 10 * time.Second, large: 10 * time.Second}
	s := httptest.NewUnstartedServer(p.Handler())
	s.Config.ReadTimeout, s.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	return feedServer{s, p, l}
}

func quietFeed(t *testing.T, events ...store.Event) feedServer {
	t.Helper()
	l := &memoryLog{}
	l.add(events...)
	return serveFeed(t, Config{}, l, handlerstest.Quiet())
}

// feedReader reads one answer of the feed.
type feedReader struct {
	*http.Response
	lines *bufio.Reader
	leave context.CancelFunc
}

// open sends a request to the feed. query begins with ? or is empty. The answer must begin within 10 seconds.
func (s feedServer) open(t *testing.T, query string, header http.Header) feedReader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/events"+query, nil)
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := s.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return feedReader{answer, bufio.NewReader(answer.Body), cancel}
}

// line returns the next line without its end.
func (r feedReader) line(t *testing.T) string {
	t.Helper()
	line, err := r.lines.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSuffix(line, "\n")
}

// rest returns the lines up to the end of the answer.
func (r feedReader) rest(t *testing.T) []string {
	t.Helper()
	all, err := io.ReadAll(r.lines)
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
}

// ids returns the numbers of the events of NDJSON lines, and the cursor of the last line, which must be a heartbeat.
func ids(t *testing.T, lines []string) (numbers []int, last string) {
	t.Helper()
	for i, line := range lines {
		var got struct {
			Cursor string
			Event  json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(line), &got), line)
		if got.Event == nil {
			require.Equal(t, len(lines)-1, i, "only the last line is a heartbeat")
			return numbers, got.Cursor
		}
		n, err := strconv.Atoi(got.Cursor[1:])
		require.NoError(t, err)
		numbers = append(numbers, n-1)
	}
	require.Fail(t, "the last line is not a heartbeat")
	return nil, ""
}

// asLine returns the NDJSON line of the event with the number n.
func asLine(t *testing.T, n int, e store.Event) string {
	t.Helper()
	object, err := events.Marshal(&e)
	require.NoError(t, err)
	return `{"cursor":"` + cursorAt(n+1) + `","event":` + string(object) + `}`
}
