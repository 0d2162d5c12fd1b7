package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// EventLog is the part of a store from which GET /api/v1/events reads the stored events. The interface EventLog of
// package store documents the methods.
type EventLog interface {
	Events(ctx context.Context, cursor string, limit int) (store.EventPage, error)
	EventsEnd(ctx context.Context) (string, error)
}

// maxFeeds limits how many answers to GET /api/v1/events are open at a time, since each may stay open for hours. A
// further request is answered 503.
const maxFeeds = 64

// feedTimes holds the time limits and intervals of GET /api/v1/events, which stays connected to send new events. The
// usual values are in defaultFeedTimes; tests use shorter ones.
type feedTimes struct {
	// poll is how long the feed waits at the end of the log before it reads the log again. The log is polled since
	// stores cannot notify all replicas of a new event (pgstore uses no LISTEN). Such a read finds nothing and is cheap,
	// and people do not notice a delay of poll.
	poll      time.Duration
	heartbeat time.Duration // the longest time without any line
	write     time.Duration // how long the client may take to accept feedChunk bytes
	large     time.Duration // how long the client may take to accept an event larger than feedKept
}

var defaultFeedTimes = feedTimes{
	poll: 200 * time.Millisecond, heartbeat: 15 * time.Second, write: 30 * time.Second, large: 2 * time.Minute,
}

// feed answers GET /api/v1/events. It sends the stored events after the client's cursor, a place in the event log;
// without a cursor, it sends all stored events. Unless the query parameter follow is "false", it then sends new events
// until the client disconnects. The format is NDJSON, or server-sent events if the client asks for them.
func (p *API) feed(c *gin.Context) {
	q, err := p.feedQuery(c.Request)
	if err != nil {
		p.failures.Fail(c, err)
		return
	}
	select {
	case p.feeds <- struct{}{}:
		defer func() { <-p.feeds }()
	default:
		p.failures.Fail(c, &problem.Problem{
			Kind: problem.KindBusy, Detail: fmt.Sprintf("%d readers follow the feed already; retry later", maxFeeds),
		})
		return
	}
	ctx, cancel := connection(c.Request.Context())
	defer cancel()
	s := p.newFeedStream(c, q)
	defer s.release()
	if err := s.start(ctx); err != nil {
		p.failures.Fail(c, feedFailed(q, err))
		return
	}
	if c.Request.Method == http.MethodHead {
		return
	}
	switch err := s.run(ctx); {
	case err == nil:
	case ctx.Err() == nil:
		p.failures.Log.LogAttrs(ctx, slog.LevelWarn, "feed of events interrupted", slog.Any("error", err))
		panic(http.ErrAbortHandler) // the client must not take the answer for complete
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.failures.Log.LogAttrs(ctx, slog.LevelWarn, "reader of the feed disconnected: it accepts no data",
			slog.String("client", c.ClientIP()))
	}
}

// feedQuery holds the parsed query parameters and headers of a request to GET /api/v1/events.
type feedQuery struct {
	after   string // the cursor; "" is the place before the oldest event
	named   string // where the client named the cursor: the parameter after or the header Last-Event-ID
	fromEnd bool   // start after the newest event
	follow  bool   // wait for new events
	limit   int    // the answer ends after so many events; 0 for no limit
	sse     bool   // server-sent events instead of NDJSON
	filter  eventFilter
}

// lastEventID is the request header in which a client of server-sent events, such as a browser, sends the id of the
// last event that it received. The id is a cursor, a place in the event log, and the answer begins with the next event.
const lastEventID = "Last-Event-ID"

func (p *API) feedQuery(r *http.Request) (feedQuery, error) {
	a := parseQuery(r.URL.RawQuery)
	q := feedQuery{named: "after", after: a.text("after"), sse: acceptsEventStream(r)}
	q.filter = a.eventFilter()
	q.limit = a.atLeastOne("limit")
	q.follow = a.oneOf("follow", "true", "false") == "true"
	if err := a.err(); err != nil {
		return q, err
	}
	if ids := r.Header.Values(lastEventID); len(ids) > 0 && ids[0] != "" {
		q.after, q.named = ids[0], lastEventID
	}
	if q.fromEnd = q.after == "now"; q.fromEnd {
		q.after = ""
	}
	switch {
	case p.config.Events == nil:
		return q, &problem.Problem{
			Kind:   problem.KindNotFound,
			Detail: "this dlrloop keeps no events: set events.keep in its configuration, for example to 24h",
		}
	case q.follow && p.config.Draining():
		return q, &problem.Problem{Kind: problem.KindBusy, Detail: "draining: dlrloop is shutting down; retry later"}
	}
	return q, nil
}

// atLeastOne returns the query parameter of this name as a positive integer, or 0 if the parameter is missing. Any
// other value is recorded as a fault, which the method err returns; ignore the result then.
func (q *query) atLeastOne(name string) int {
	s := q.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		q.fail(name, "not a valid number of events", "1 or more")
	}
	return n
}

// acceptsEventStream reports whether the client asks for server-sent events, as a browser's EventSource does: whether
// the Accept header contains text/event-stream.
func acceptsEventStream(r *http.Request) bool {
	for _, accept := range r.Header.Values("Accept") {
		for element := range strings.SplitSeq(accept, ",") {
			if t, _, err := mime.ParseMediaType(element); err == nil && t == "text/event-stream" {
				return true
			}
		}
	}
	return false
}

// feedFailed converts an error of reading the event log into the problem to answer. Use it only before the answer has
// begun. The problem does not quote the client's cursor, since a client can send any text as a cursor.
func feedFailed(q feedQuery, err error) error {
	if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
		return &problem.Problem{
			Kind: problem.KindCursorGone, OldestCursor: gone.Oldest, Cause: err,
			Detail: "events after this cursor were deleted, or it is from another store; continue after oldest_cursor",
		}
	}
	err = fmt.Errorf("read events: %w", err)
	if errors.Is(err, store.ErrCursor) {
		return problem.BadParameter(q.named, "not a cursor of this feed",
			"a cursor of the feed, now, or nothing for the oldest event")
	}
	return problem.OfStore(err)
}

// connectionKey is the context key under which withConnection stores, and connection finds, the context that net/http
// gave to a request. That context ends when the client disconnects.
type connectionKey struct{}

// withConnection returns a handler that calls next and lets the function connection find the context that net/http gave
// to the request. Package listener gives handlers another context, which does not end when the client disconnects.
func withConnection(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, connectionKey{}, ctx)))
	})
}

// connection returns a context that ends when the client closes its connection or only the sending side of its
// connection. ctx must be the context of a request that passed through withConnection. The caller must call the
// returned function to release resources.
func connection(ctx context.Context) (context.Context, context.CancelFunc) {
	if client, ok := ctx.Value(connectionKey{}).(context.Context); ok {
		ctx = client
	}
	return context.WithCancel(ctx)
}
