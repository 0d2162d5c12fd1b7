package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// feedEvent is a line of the feed.
type feedEvent struct {
	Cursor string
	Event  *struct {
		ID, Type string
		Data     struct {
			BatchID   string `json:"batch_id"`
			Version   int64
			Recipient string
			Status    string
			Counts    []struct {
				Status   string
				Messages int
			}
			Recipients []string
		}
	}
}

// feed reads one answer of the feed.
type feed struct {
	t     *testing.T
	lines *bufio.Reader
}

func (w *world) feed(query string) feed {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.gateway()+"/api/v1/events?"+query, nil)
	require.NoError(w.t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = answer.Body.Close() })
	require.Equal(w.t, http.StatusOK, answer.StatusCode)
	return feed{w.t, bufio.NewReader(answer.Body)}
}

// next returns the next line. ok is false at the end of a complete answer.
func (f feed) next() (line feedEvent, ok bool) {
	f.t.Helper()
	text, err := f.lines.ReadString('\n')
	if err == io.EOF && text == "" {
		return line, false
	}
	require.NoError(f.t, err)
	require.NoError(f.t, json.Unmarshal([]byte(text), &line))
	return line, true
}

// TestFeed follows a batch from the first report to the accepted feedback, across a restart.
func TestFeed(t *testing.T) {
	w := newWorld(t, nil)
	f := w.feed("after=now")
	_, ok := f.next() // the heartbeat after which new events are sent
	require.True(t, ok)
	id := w.sendTo(w.gateway(), "per_recipient", true, "447700900101", "447700900102", "447700900103")

	seen, versions := map[string]bool{}, []int64{}
	states, kinds, accepted := map[string]string{}, map[string]int{}, 0
	var last feedEvent
	for accepted < 3 {
		last, ok = f.next()
		require.True(t, ok)
		if last.Event == nil {
			continue
		}
		d := last.Event.Data
		require.False(t, seen[last.Event.ID], "each event comes once")
		seen[last.Event.ID] = true
		require.Equal(t, id, d.BatchID)
		versions = append(versions, d.Version)
		kinds[last.Event.Type]++
		if last.Event.Type == "recipient.status" {
			states[d.Recipient] = d.Status
		}
		accepted += len(d.Recipients)
	}
	require.IsIncreasing(t, versions)
	require.Equal(t, map[string]string{
		"447700900101": "Delivered", "447700900102": "Delivered", "447700900103": "Delivered",
	}, states)
	require.Equal(t, 1, kinds["batch.completed"])
	require.GreaterOrEqual(t, kinds["recipient.status"], 3)

	require.NoError(t, w.end())
	cursor := last.Cursor
	for line, ok := f.next(); ok; line, ok = f.next() { // the end is that of a complete answer
		cursor = line.Cursor
	}
	w.start()
	f = w.feed("after=" + url.QueryEscape(cursor))
	_, ok = f.next()
	require.True(t, ok)
	require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, "cb-rdr-sms-delivered.json")))
	last, _ = f.next()
	require.NotNil(t, last.Event)
	require.Equal(t, "Delivered", last.Event.Data.Status)
}

// A reader that accepts no data does not delay the shutdown beyond the limit of the private listener.
func TestAStalledReaderOfTheFeedDoesNotPreventTheShutdown(t *testing.T) {
	w := newWorld(t, nil)
	big := string(fixtures.Read(t, "cb-rdr-sms-delivered.json"))
	for i := range 2000 {
		body := fmt.Sprintf(`{"type":"mo_text","id":"M%d","from":"447700900133","to":"54321","body":%q}`, i, big+big+big)
		require.Equal(t, http.StatusOK, w.callback([]byte(body)))
	}
	stalled, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.server.PrivateAddr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, stalled.Close()) }()
	_, err = io.WriteString(stalled, "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	require.NoError(t, err)
	_, err = bufio.NewReader(stalled).ReadByte()
	require.NoError(t, err)
	begin := time.Now()
	require.NoError(t, w.end())
	require.Less(t, time.Since(begin), 25*time.Second, "less than the write timeout of the feed")
}

func TestWithoutEventsThereIsNoFeed(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Events.Keep = 0 })
	status, answer := w.get("/api/v1/events?follow=false")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, string(answer), "set events.keep")
}
