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
	// feedPage is how many events the feed reads at a time, at most.
	feedPage = 100
	// feedChunk is the size of the feed's buffer in bytes. Each time that the client accepts as many bytes, it gets
	// feedTimes.write for the next ones.
	feedChunk = 32 << 10
	// feedRetry is how long a client of server-sent events waits before it connects again.
	feedRetry = "2000" // milliseconds
)

// feedStream is one answer of the feed.
type feedStream struct {
	*API
	feedQuery
	times  feedTimes
	page   store.EventPage // the next events to send
	most   int             // the most events of the next page
	share  int64           // of memory.large, for the page
	cursor string          // after the last event that was sent or that the filter left out
	last   time.Time       // when something was last sent to the client
	w      feedWriter
	out    *bufio.Writer // buffers w
}

func (p *API) newFeedStream(c *gin.Context, q feedQuery) *feedStream {
	s := &feedStream{API: p, feedQuery: q, times: p.times, most: feedPage, cursor: q.after}
	s.w = feedWriter{ResponseWriter: c.Writer, controller: controllerOf(c.Writer), limit: s.times.write}
	s.out = bufio.NewWriterSize(&s.w, feedChunk)
	return s
}

// start reads the first page and writes the headers. It returns the error of the store, and then writes nothing.
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

// run sends events until the client leaves, which ends ctx, the process drains, or the answer is complete, and then
// returns nil. Any other end is an error; the answer is then incomplete.
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

// read reads the page after the cursor.
func (s *feedStream) read(ctx context.Context) error {
	return s.withPatience(ctx, s.readPage)
}

func (s *feedStream) withPatience(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Patience)
	defer cancel()
	return f(ctx)
}

// send writes the selected events of the page. It reports whether the limit of the request is reached.
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

// event writes an event and the cursor after it.
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

// heartbeat writes the cursor without an event. So the client knows its place even if the filter leaves out all events.
func (s *feedStream) heartbeat() {
	if s.sse {
		_, _ = s.out.WriteString(": heartbeat\nid: " + s.cursor + "\n\n")
	} else {
		_, _ = s.out.WriteString(`{"cursor":` + quoted(s.cursor) + "}\n")
	}
}

// flush sends the headers and what is buffered to the client.
func (s *feedStream) flush() error {
	s.last = time.Now()
	if err := s.out.Flush(); err != nil {
		return err
	}
	return s.w.flush()
}

// wait blocks for the polling interval, or until the client leaves.
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

// feedWriter writes in chunks and gives the client time for each of them, instead of the write timeout of the
// http.Server, which limits the whole answer.
type feedWriter struct {
	gin.ResponseWriter
	controller *http.ResponseController
	limit      time.Duration
	end        time.Time // a limit for several chunks together; zero for none
}

// limitEvent limits how long the client may take to accept what is written from now on; 0 removes the limit.
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

// controllerOf returns the controller of the connection. Unlike that of w itself, its Flush returns errors.
func controllerOf(w gin.ResponseWriter) *http.ResponseController {
	if wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return http.NewResponseController(wrapper.Unwrap())
	}
	return http.NewResponseController(w)
}

// extend gives the client more time. Only connections of tests support no deadlines.
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
