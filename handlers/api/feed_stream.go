package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/store"
)

const (
	// feedPage is the maximum number of events in one read of the event log.
	feedPage = 100
	// feedChunk is the size of the feed's write buffer in bytes. Each time the client has accepted so many bytes, it gets
	// feedTimes.write for the next ones.
	feedChunk = 32 << 10
	// feedRetry tells a client of server-sent events how long to wait before it connects again.
	feedRetry = "2000" // milliseconds
)

// feedStream is the state of one answer to GET /api/v1/events: the place in the event log (cursor), the events to send
// next, and the connection. Only one goroutine may use a feedStream, and it must call release at the end.
type feedStream struct {
	*API
	feedQuery
	times    feedTimes
	page     store.EventPage // the next events to send
	most     int             // the most events of the next page
	reserved int64           // bytes of memory.large that are acquired for the page; 0 for a small page
	cursor   string          // after the last event that was sent or that the filter left out
	last     time.Time       // when something was last sent to the client
	w        feedWriter
	out      *bufio.Writer // buffers w
}

func (p *API) newFeedStream(c *gin.Context, q feedQuery) *feedStream {
	s := &feedStream{API: p, feedQuery: q, times: p.times, most: feedPage, cursor: q.after}
	s.w = feedWriter{ResponseWriter: c.Writer, controller: controllerOf(c.Writer), limit: s.times.write}
	s.out = bufio.NewWriterSize(&s.w, feedChunk)
	return s
}

// start reads the first events and then writes status 200 and the headers. If the store fails, start returns the error
// and has written nothing, so the caller can still answer with a problem.
func (s *feedStream) start(ctx context.Context) (err error) {
	var end string
	if s.after == "" {
		err = s.withPatience(ctx, func(ctx context.Context) error {
			end, err = s.config.Events.EventsEnd(ctx)
			return err
		})
	}
	if s.fromEnd {
		s.cursor = end
	}
	if err == nil {
		err = s.read(ctx)
	}
	if err != nil {
		return err
	}
	if s.cursor == "" && len(s.page.Events) == 0 {
		s.cursor = end // the log was empty after this place was read, so it is the beginning
	}
	h := s.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	if s.sse {
		h.Set("Content-Type", "text/event-stream")
	}
	h.Set("Vary", "Accept")
	h.Set("X-Accel-Buffering", "no") // nginx would hold back the events
	s.w.WriteHeader(http.StatusOK)
	s.w.WriteHeaderNow()
	return nil
}

// run sends events and heartbeats. It returns nil when the client leaves (which ends ctx), when the process shuts down,
// or when the answer is complete. Any other end is an error; then the client lacks events that it asked for.
func (s *feedStream) run(ctx context.Context) error {
	if s.sse {
		_, _ = s.out.WriteString("retry: " + feedRetry + "\n\n") // flush returns the error
	}
	if err := s.flush(); err != nil {
		return err
	}
	for caughtUp := false; ; {
		done, err := s.send()
		if err != nil {
			return err
		}
		atEnd := len(s.page.Events) == 0
		ended := done || atEnd && !s.follow || s.follow && s.config.Draining()
		if ended || atEnd && !caughtUp || time.Since(s.last) >= s.times.heartbeat {
			s.heartbeat()
			caughtUp = caughtUp || atEnd
		}
		if s.out.Buffered() > 0 {
			err = s.flush()
		}
		if err != nil || ended {
			return err
		}
		if atEnd {
			s.wait(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := s.read(ctx); err != nil {
			return err
		}
	}
}

// read replaces s.page with the events after s.cursor: it calls readPage with a time limit of Config.Patience. It
// returns an error if the store fails or the time limit passes.
func (s *feedStream) read(ctx context.Context) error {
	return s.withPatience(ctx, s.readPage)
}

func (s *feedStream) withPatience(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	return f(ctx)
}

// send writes the events of s.page that pass the filter to the buffer, and advances s.cursor past each event, written
// or left out. It returns true once the maximum number of events that the client asked for is reached. The error is
// that of encoding an event or of sending a full buffer.
func (s *feedStream) send() (done bool, err error) {
	for i := range s.page.Events {
		e := &s.page.Events[i]
		s.cursor = s.page.Cursor(i)
		if !s.filter.selects(e) {
			continue
		}
		line, err := events.Marshal(e)
		if err != nil {
			return false, err
		}
		if err := s.event(e.Type, line); err != nil {
			return false, err
		}
		if s.limit--; s.limit == 0 {
			return true, nil
		}
	}
	if len(s.page.Events) > 0 {
		s.cursor = s.page.Next
	}
	return false, nil
}

// event writes one event to the buffer, with the cursor after which the client can continue later. line is the JSON of
// the event. The format is a server-sent event or a line of NDJSON. A full buffer is sent to the client at once, and
// event returns the error of sending.
func (s *feedStream) event(t store.EventType, line []byte) error {
	if s.sse {
		_, _ = s.out.WriteString("id: " + s.cursor + "\nevent: " + string(t) + "\ndata: ")
		_, _ = s.out.Write(line)
		_, _ = s.out.WriteString("\n\n")
	} else {
		_, _ = s.out.WriteString(`{"cursor":` + quoted(s.cursor) + `,"event":`)
		_, _ = s.out.Write(line)
		_, _ = s.out.WriteString("}\n")
	}
	_, err := s.out.Write(nil) // returns the error of the writes above
	return err
}

// heartbeat writes the cursor (the present place in the event log) to the buffer, without an event. It tells the client
// where to continue, even if the filter leaves out all events. If the write fails, the next flush returns the error.
func (s *feedStream) heartbeat() {
	if s.sse {
		_, _ = s.out.WriteString(": heartbeat\nid: " + s.cursor + "\n\n")
	} else {
		_, _ = s.out.WriteString(`{"cursor":` + quoted(s.cursor) + "}\n")
	}
}

// flush sends the contents of the buffer to the client; the first call also sends the headers. It returns an error if
// the client does not accept the data within the time limits of feedWriter.
func (s *feedStream) flush() error {
	s.last = time.Now()
	if err := s.out.Flush(); err != nil {
		return err
	}
	return s.w.flush()
}

// wait blocks until it is time to read the event log again (feedTimes.poll), or until ctx ends because the client left.
func (s *feedStream) wait(ctx context.Context) {
	timer := time.NewTimer(s.times.poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func quoted(s string) string {
	text, _ := json.Marshal(s) // a string can be encoded
	return string(text)
}

// feedWriter writes an answer in pieces of feedChunk bytes. The client gets a new time limit for each piece, in place
// of the http.Server's WriteTimeout, which limits the whole answer.
type feedWriter struct {
	gin.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
	end        time.Time // a limit for several chunks together; zero for none
}

// limitEvent gives the client at most the time d to accept all data written from now on, such as a large event. The
// time limit for each piece of feedChunk bytes still applies. If d is zero, limitEvent removes the limit of an earlier
// call.
func (w *feedWriter) limitEvent(d time.Duration) {
	if w.end = (time.Time{}); d > 0 {
		w.end = time.Now().Add(d)
	}
}

func (w *feedWriter) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		if err = w.extend(); err != nil {
			break
		}
		var written int
		written, err = w.ResponseWriter.Write(b[:min(len(b), feedChunk)])
		n, b = n+written, b[written:]
	}
	return n, err
}

func (w *feedWriter) flush() error {
	if err := w.extend(); err != nil {
		return err
	}
	return w.controller.Flush()
}

// controllerOf returns an http.ResponseController for the connection under gin's writer w. The controller's Flush
// returns errors, whereas the Flush of w hides them.
func controllerOf(w gin.ResponseWriter) *http.ResponseController {
	if wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return http.NewResponseController(wrapper.Unwrap())
	}
	return http.NewResponseController(w)
}

// extend sets the deadline for writing the next piece to w.limit from now, or to w.end if limitEvent has set w.end to
// an earlier time. It returns nil if the connection does not support deadlines, which happens only in tests.
func (w *feedWriter) extend() error {
	deadline := time.Now().Add(w.limit)
	if !w.end.IsZero() && w.end.Before(deadline) {
		deadline = w.end
	}
	err := w.controller.SetWriteDeadline(deadline)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
