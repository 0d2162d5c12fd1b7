package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

func TestTheFeedSendsStoredAndThenNewEvents(t *testing.T) {
	all := sampleEvents()
	s := quietFeed(t, all...)
	r := s.open(t, "", nil)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "application/x-ndjson", r.Header.Get("Content-Type"))
	require.Equal(t, "no-store", r.Header.Get("Cache-Control"))
	for n := 1; n < len(all); n++ { // the first one is a ReportReceived
		require.Equal(t, asLine(t, n, all[n]), r.line(t))
	}
	require.Equal(t, `{"cursor":"c10"}`, r.line(t))

	for n := 10; n < 13; n++ {
		s.log.add(all[2])
		require.Equal(t, asLine(t, n, all[2]), r.line(t))
	}
}

func TestTheFeedAsServerSentEvents(t *testing.T) {
	all := sampleEvents()
	s := quietFeed(t, all[:3]...)
	r := s.open(t, "?after=c2", http.Header{"Accept": {"text/html, text/event-stream;q=1"}})
	require.Equal(t, "text/event-stream", r.Header.Get("Content-Type"))
	data, err := events.Marshal(&all[2])
	require.NoError(t, err)
	for _, want := range []string{
		"retry: 2000", "", "id: c3", "event: recipient.status", "data: " + string(data), "", ": heartbeat", "id: c3", "",
	} {
		require.Equal(t, want, r.line(t))
	}
	s.log.add(all[5])
	data, err = events.Marshal(&all[5])
	require.NoError(t, err)
	for _, want := range []string{"id: c4", "event: feedback.accepted", "data: " + string(data), ""} {
		require.Equal(t, want, r.line(t))
	}
}

func TestTheFeedBeginsAfterTheCursor(t *testing.T) {
	s := quietFeed(t, sampleEvents()...)
	s.log.trim(2)
	read := func(query, lastID string) ([]int, string) {
		t.Helper()
		return ids(t, s.open(t, "?follow=false&"+query, http.Header{"Last-Event-Id": {lastID}}).rest(t))
	}
	for query, want := range map[string][]int{
		"":          {2, 3, 4, 5, 6, 7, 8, 9},
		"after=":    {2, 3, 4, 5, 6, 7, 8, 9},
		"after=c2":  {2, 3, 4, 5, 6, 7, 8, 9},
		"after=c7":  {7, 8, 9},
		"after=c10": nil,
		"after=now": nil,
	} {
		got, last := read(query, "")
		require.Equal(t, want, got, query)
		require.Equal(t, "c10", last, query)
	}
	got, _ := read("after=c3", "c8")
	require.Equal(t, []int{8, 9}, got, "Last-Event-ID has precedence")
	got, last := read("after=c3&limit=2", "")
	require.Equal(t, []int{3, 4}, got)
	require.Equal(t, "c5", last, "the next request continues after the limit")
	_, last = ids(t, quietFeed(t).open(t, "?follow=false", nil).rest(t))
	require.Equal(t, "c0", last, "an empty log has a cursor, too")
}

// A log longer than many pages arrives completely and in order, whatever the filter leaves out.
func TestTheFeedReadsManyPages(t *testing.T) {
	s := quietFeed(t)
	all := sampleEvents()
	want := []int(nil)
	for n := range 25 * feedPage {
		e := all[6]
		if n%3 == 0 {
			e, want = all[2], append(want, n)
		}
		s.log.add(e)
	}
	got, last := ids(t, s.open(t, "?follow=false&status=delivered", nil).rest(t))
	require.Equal(t, want, got)
	require.Equal(t, cursorAt(25*feedPage), last)
}

func TestTheFiltersOfTheFeed(t *testing.T) {
	s := quietFeed(t, sampleEvents()...)
	for query, want := range map[string][]int{
		"plan=" + planUS:                             {8, 9},
		"plan=nobody":                                nil,
		"batch=" + batchOTP:                          {1, 2, 3, 4, 5, 6},
		"batch=" + strings.ToLower(batchOTP):         nil,
		"number=%2B44+7700+900133":                   {1, 2, 5, 7}, // in another spelling
		"number=00" + alice:                          {1, 2, 5, 7},
		"number=54321":                               {7}, // the plan's own number
		"number=" + bob:                              {3},
		"status=dispatched":                          {1},
		"status=Delivered,%20other":                  {2, 3},
		"status=canceled":                            nil,
		"type=recipient.status":                      {1, 2, 3},
		"type=inbound.received,callback.quarantined": {7, 8, 9},
		"type=batch.completed&plan=" + planUS:        nil,
		"type=batch.completed&status=Delivered":      nil,
	} {
		got, last := ids(t, s.open(t, "?follow=false&"+query, nil).rest(t))
		require.Equal(t, want, got, query)
		require.Equal(t, "c10", last)
	}
}

func TestTheFeedRefuses(t *testing.T) {
	failing := errors.New("disk full")
	for name, c := range map[string]struct {
		query, lastID   string
		err             error
		kind            string
		status          int
		parameter, says string
	}{
		"malformed cursor": {query: "?after=x1", kind: "bad-parameter", status: 400, parameter: "after"},
		"malformed Last-Event-ID": {
			query: "?after=c3", lastID: "x1", kind: "bad-parameter", status: 400, parameter: "Last-Event-ID",
		},
		"outdated cursor": {query: "?after=c1", kind: "cursor-gone", status: 410, says: "continue after oldest_cursor"},
		"foreign cursor":  {query: "?after=c11", kind: "cursor-gone", status: 410},
		"unknown status": {
			query: "?status=Delivred", kind: "bad-parameter", status: 400, parameter: "status", says: "Queued",
		},
		"unknown type":  {query: "?type=report.received", kind: "bad-parameter", status: 400, parameter: "type"},
		"empty element": {query: "?type=batch.completed,", kind: "bad-parameter", status: 400, parameter: "type"},
		"limit":         {query: "?limit=0", kind: "bad-parameter", status: 400, parameter: "limit"},
		"follow":        {query: "?follow=no", kind: "bad-parameter", status: 400, parameter: "follow"},
		"store":         {err: failing, kind: "unavailable", status: 503},
		"store, now":    {query: "?after=now", err: store.ErrBusy, kind: "busy", status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			l := &memoryLog{err: c.err}
			l.add(sampleEvents()...)
			l.trim(2)
			s := serve(t, Config{Events: l}, nil, handlerstest.Quiet())
			a := s.call(t, http.MethodGet, "/api/v1/events"+c.query, "", http.Header{"Last-Event-Id": {c.lastID}})
			p := a.Problem(t)
			require.Equal(t, c.status, p.Status)
			require.True(t, strings.HasSuffix(p.Type, "#"+c.kind), p.Type)
			require.Equal(t, c.parameter, p.Parameter)
			require.Contains(t, p.Detail, c.says)
			require.NotContains(t, p.Detail, "x1")
			var gone struct {
				Oldest string `json:"oldest_cursor"`
			}
			require.NoError(t, json.Unmarshal(a.Content, &gone))
			if c.kind == "cursor-gone" {
				require.Equal(t, "c2", gone.Oldest)
				got, _ := ids(t, strings.Split(strings.TrimSpace(string(s.get(t,
					"/api/v1/events?follow=false&limit=1&after="+gone.Oldest).Content)), "\n"))
				require.Equal(t, []int{2}, got)
				return
			}
			require.Empty(t, gone.Oldest)
		})
	}
}

func TestWithoutALogThereIsNoFeed(t *testing.T) {
	s := serve(t, Config{}, nil, handlerstest.Quiet())
	p := s.get(t, "/api/v1/events").Problem(t)
	require.Equal(t, http.StatusNotFound, p.Status)
	require.Contains(t, p.Detail, "set events.keep")
}

func TestHeadOfTheFeedEnds(t *testing.T) {
	s := quietFeed(t, sampleEvents()...)
	r, err := s.Client().Head(s.URL + "/api/v1/events")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Equal(t, "application/x-ndjson", r.Header.Get("Content-Type"))
}

// The JSON of every type of event matches the document: alone, in a list, and in a line of the feed.
func TestDocumentDescribesTheEvents(t *testing.T) {
	d := loadDocument(t)
	body := d.Webhooks["events"].Post.RequestBody.Value.Content["application/json"].Schema.Value
	line := d.Components.Schemas["FeedLine"].Value
	valid := func(s *openapi3.Schema, text string) error {
		var v any
		require.NoError(t, json.Unmarshal([]byte(text), &v))
		return s.VisitJSON(v, openapi3.EnableJSONSchema2020())
	}
	bare := store.Event{Type: store.RecipientStatus, At: morning(0), Plan: "p", BatchID: "b", Number: "1"}
	bare.State = dlr.State{Status: "x", Code: dlr.NoCode}
	seen := map[store.EventType]bool{}
	for _, e := range append(sampleEvents()[1:], bare) {
		seen[e.Type] = true
		object, err := events.Marshal(&e)
		require.NoError(t, err)
		require.NoError(t, valid(body, string(object)), "%s", object)
		require.NoError(t, valid(body, "["+string(object)+"]"), "%s", object)
		require.NoError(t, valid(line, asLine(t, 0, e)))
		for _, wrong := range []string{
			strings.Replace(string(object), `"type":"`, `"type":"x`, 1),
			strings.Replace(string(object), `"data":{`, `"data":{"more":1,`, 1),
			strings.Replace(string(object), `"plan":`, `"plans":`, 1),
		} {
			require.Error(t, valid(body, wrong), wrong)
		}
	}
	require.Len(t, seen, len(store.EventTypes()))
	require.NoError(t, valid(line, `{"cursor":"c1"}`))
}
