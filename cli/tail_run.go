package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// The delay before dlrloop tail connects again after an error: firstReconnect at first, doubled by each attempt that
// fails, but at most maxReconnect.
const (
	firstReconnect = time.Second
	maxReconnect   = 30 * time.Second
)

// tail is one run of dlrloop tail, which prints the events of the feed. If follow is false, the run ends after the
// newest event. Otherwise the run connects again after the connection breaks, and continues after the last event.
type tail struct {
	feed      *feed
	query     url.Values // of the next request; each line sets its parameter "after"
	follow    bool
	reconnect time.Duration // the delay before the first new connection
	show      func(feedLine) error
	log       io.Writer // gets messages about lost and restored connections
}

// run prints events until ctx ends, and then returns nil. If t.follow is false, it returns after the newest event or
// the first error. If t.follow is true, it connects again after a temporary error. It returns any error that occurs
// before the first line of the feed, and every error that is not temporary.
func (t *tail) run(ctx context.Context) error {
	delay, connected := t.reconnect, false
	for {
		began := false
		err := t.feed.read(ctx, t.query, func(line feedLine) error {
			if !began {
				if began = true; connected {
					fmt.Fprintln(t.log, "dlrloop: connected again")
				}
				delay, connected = t.reconnect, true
			}
			return t.take(line)
		})
		gone, isGone := errors.AsType[*apiError](err)
		isGone = isGone && gone.code == http.StatusGone
		switch {
		case ctx.Err() != nil:
			return nil
		case isGone && !connected:
			return advised{err, "begin with --after oldest or --after now"}
		case !t.follow || err != nil && (!connected || !temporary(err)):
			return err
		case isGone:
			fmt.Fprintln(t.log, "dlrloop: some events are no longer kept and were missed; continuing with the oldest one")
			t.query.Set("after", gone.OldestCursor)
		default:
			fmt.Fprintf(t.log, "dlrloop: %v; connecting again in %s\n", cmp.Or(err, errFeedEnded), delay)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, maxReconnect)
	}
}

var errFeedEnded = errors.New("dlrloop shuts down")

// take prints the event of a line of the feed; a heartbeat has no event. It then stores the cursor, which is the
// position of the line in the feed, so that the next connection continues after the line.
func (t *tail) take(line feedLine) error {
	if line.Event != nil {
		if err := t.show(line); err != nil {
			return printError{err}
		}
	}
	t.query.Set("after", line.Cursor)
	return nil
}

// printError is an error in printing an event. It ends dlrloop tail, because a new connection does not help.
type printError struct{ error }

// temporary reports whether connecting again may succeed after err. It is false if an event could not be printed, if
// the answer was not from dlrloop, and for a status such as 401. It is true for 410, 429, 5xx and network errors.
func temporary(err error) bool {
	if errors.As(err, new(printError)) || errors.As(err, new(notDlrloop)) {
		return false
	}
	answer, ok := errors.AsType[*apiError](err)
	return !ok || answer.code >= http.StatusInternalServerError || answer.code == http.StatusTooManyRequests ||
		answer.code == http.StatusGone
}
