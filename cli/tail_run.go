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

// The delay before tail connects again: the first one, and the longest. It doubles with each attempt that fails.
const (
	firstReconnect = time.Second
	maxReconnect   = 30 * time.Second
)

// tail follows the feed across connections.
type tail struct {
	feed      *feed
	query     url.Values // of the next request; after moves on with each line
	follow    bool
	reconnect time.Duration // the first delay before another connection
	show      func(feedLine) error
	log       io.Writer // for people: lost and restored connections
}

// run prints events until ctx ends, and then returns nil. It connects again after an error, except after one that a
// repeated attempt would meet again, and at the first connection. Without t.follow it returns after the newest event.
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

// take prints the event of a line, if it has one, and remembers the place after it.
func (t *tail) take(line feedLine) error {
	if line.Event != nil {
		if err := t.show(line); err != nil {
			return printError{err}
		}
	}
	t.query.Set("after", line.Cursor)
	return nil
}

// printError is an error in printing an event. A new connection does not help.
type printError struct{ error }

// temporary reports whether another attempt may succeed after err.
func temporary(err error) bool {
	if errors.As(err, new(printError)) || errors.As(err, new(notDlrloop)) {
		return false
	}
	answer, ok := errors.AsType[*apiError](err)
	return !ok || answer.code >= http.StatusInternalServerError || answer.code == http.StatusTooManyRequests ||
		answer.code == http.StatusGone
}
