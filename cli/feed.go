package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// feed is a client of GET /api/v1/events in the private API, which sends events as lines of JSON, usually without end.
type feed struct {
	api    *api
	client *http.Client
	quiet  time.Duration // maximum time without a line; then read returns an error
}

// maxFeedLine is the maximum size in bytes of a line that feed.read accepts; a longer line is an error. A line can be
// large, because an event may contain a callback of any size.
const maxFeedLine = maxAPIAnswer

// newFeed returns a client of the event feed at the API a. Connecting, and the wait for the beginning of an answer, may
// each take up to timeout. The answer itself has no time limit.
func newFeed(a *api, timeout time.Duration) *feed {
	client := *a.client
	client.Timeout = 0 // an answer may last for ever
	client.Transport = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout,
	}
	return &feed{api: a, client: &client, quiet: 45 * time.Second} // three heartbeats
}

// feedLine is one line of the event feed: an event, or a heartbeat that shows that the connection is alive. Cursor is
// the position after the line, from which another request can continue.
type feedLine struct {
	Cursor string          `json:"cursor"`
	Event  json.RawMessage `json:"event"` // nil in a heartbeat
	raw    []byte          // the whole line; valid until the function that receives it returns
}

var errFeedQuiet = errors.New("no line from the feed, not even a heartbeat")

// read requests the feed and calls the function each with every line. It returns nil when the answer is complete. If
// each returns an error, read stops and returns that error. It also returns an error if the feed cannot be read, or if
// no line arrives within the duration f.quiet.
func (f *feed) read(ctx context.Context, query url.Values, each func(feedLine) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.api.base+"/api/v1/events?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/x-ndjson")
	r.Header.Set("User-Agent", "dlrloop/"+Version())
	f.api.authorize(r)
	response, err := f.client.Do(r)
	if err != nil {
		return f.api.connectionError(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAPIAnswer)) // the status is enough
		return f.api.statusError(response, answer)
	}
	watchdog := time.AfterFunc(f.quiet, func() { cancel(errFeedQuiet) })
	defer watchdog.Stop()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxFeedLine)
	broken := error(nil)
	for n := 0; broken == nil && lines.Scan(); n++ {
		watchdog.Reset(f.quiet)
		line := feedLine{raw: lines.Bytes()}
		if err := dlr.UnmarshalExact(line.raw, &line); err != nil {
			// The last line may be cut off, and a proxy may hide that.
			if lines.Scan() || n == 0 && lines.Err() == nil {
				return notDlrloop{fmt.Errorf("%s does not answer as dlrloop does: %w", f.api.base, err)}
			}
			broken = io.ErrUnexpectedEOF
			continue
		}
		if err := each(line); err != nil {
			return err
		}
	}
	if err := cmp.Or(lines.Err(), broken); err != nil {
		if quiet := context.Cause(ctx); errors.Is(quiet, errFeedQuiet) {
			err = quiet
		}
		return fmt.Errorf("%s: %w", f.api.base, err)
	}
	return nil
}

// notDlrloop is the error for an answer that dlrloop never gives, for example from another program at the same address.
// Trying again does not help.
type notDlrloop struct{ error }
