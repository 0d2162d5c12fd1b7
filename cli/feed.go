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

// feed is a client of the feed of events, GET /api/v1/events of the private API.
type feed struct {
	api    *api
	client *http.Client
	quiet  time.Duration // the longest time without a line
}

// maxFeedLine is the maximum size of a line of the feed in bytes. An event may contain a callback of any size.
const maxFeedLine = maxAPIAnswer

// newFeed returns a client of the feed that a running dlrloop serves. An answer must begin within timeout.
func newFeed(a *api, timeout time.Duration) *feed {
	client := *a.client
	client.Timeout = 0 // an answer has no end
	client.Transport = &http.Transport{
		DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout,
	}
	return &feed{api: a, client: &client, quiet: 45 * time.Second} // three heartbeats
}

// feedLine is one line of the feed.
type feedLine struct {
	Cursor string          `json:"cursor"`
	Event  json.RawMessage `json:"event"` // nil in a heartbeat
	raw    []byte          // the whole line; valid until the function that receives it returns
}

var errFeedQuiet = errors.New("no line from the feed, not even a heartbeat")

// read requests the feed and calls each for every line. It returns nil when the answer is complete, otherwise an error:
// that of each, or why the feed could not be read.
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

// notDlrloop is an error about an answer that dlrloop never gives. Another attempt does not help.
type notDlrloop struct{ error }
