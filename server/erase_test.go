package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

// erased is the answer to DELETE /api/v1/recipients/{number}.
type erased struct {
	Recipients, Reports, Quarantined, Events int

	InboundMessages int `json:"inbound_messages"`
}

func (w *world) erase(number string) (e erased) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodDelete,
		w.gateway()+"/api/v1/recipients/"+number, nil)
	require.NoError(w.t, err)
	a, err := http.DefaultClient.Do(r)
	require.NoError(w.t, err)
	defer a.Body.Close()
	require.Equal(w.t, http.StatusOK, a.StatusCode)
	require.NoError(w.t, json.NewDecoder(a.Body).Decode(&e))
	return e
}

// A number that is erased while its events wait for an application that is down reaches the application never, and the
// store never again.
func TestEraseWhileEventsWait(t *testing.T) {
	a := newApplication(t)
	a.answer(http.StatusUnauthorized)
	w := newWorld(t, sendsTo(a))
	require.NoError(t, w.end())
	var log handlerstest.Log
	w.options.Log = log.Logger()
	w.start()
	const alice, bob = "447700900133", "447700900119"
	report := fixtures.Read(t, "cb-rdr-sms-delivered.json")
	require.Contains(t, string(report), alice)
	inbound := bytes.ReplaceAll(fixtures.Read(t, "cb-mo-text.json"), []byte("12025550180"), []byte(alice))
	require.Equal(t, http.StatusOK, w.callback(report))
	require.Equal(t, http.StatusOK, w.callback(inbound))
	other := bytes.ReplaceAll(report, []byte(alice), []byte(bob))
	require.Equal(t, http.StatusOK, w.callback(other))
	w.eventually("attempts at both destinations", func() bool {
		return a.refusals("/events") > 5 && a.refusals("/callbacks") > 5
	})

	first := w.erase(alice)
	require.Equal(t, 1, first.Recipients)
	require.Equal(t, 1, first.Reports)
	require.Equal(t, 1, first.InboundMessages)
	require.GreaterOrEqual(t, first.Events, 3, "a status, and two callbacks")
	w.eventually("both destinations to load what is stored", func() bool {
		return strings.Count(log.String(), "changed the progress of the destination; loading it") == 2
	})
	a.answer(0)
	require.Equal(t, http.StatusOK, w.callback([]byte(`{"type":"?"}`)))
	w.eventually("the callback about the other number", func() bool { return a.gotCallback(other) })
	w.eventually("the statuses", func() bool { return len(a.types("01K2S9A1V5K3C8MEX7RQ0YBD4W")) == 2 })
	for _, body := range a.bodies {
		require.NotContains(t, body, alice)
	}
	w.eventually("a later event", func() bool { return len(a.types("")) > 0 })
	require.Equal(t, []string{"callback.quarantined"}, a.types(""), "the inbound message is left out")
	require.Zero(t, w.erase(alice), "no destination has stored an event again")
	require.NoError(t, w.end())
	require.NotContains(t, log.String(), alice)
}
