package simulator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// controlClient returns a function that calls the control listener of s and returns the status and the body.
func controlClient(t *testing.T, s *Simulator) func(method, path, body string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: serveOnPipes(t, s.Control())}
	return func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(context.Background(), method, "http://control.test/control/"+path,
			strings.NewReader(body))
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		read, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(read)
	}
}

func TestControlReturnsTheSameAsTheMethods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		control := controlClient(t, u.sim)
		id := u.send(map[string]any{"to": numbers(2), "delivery_report": "full", "feedback_enabled": true})
		u.settle()
		u.feedback(id)
		for path, want := range map[string]any{
			"ledger": u.sim.Ledger(), "calls": u.sim.Calls(),
			"state": u.sim.State(),
		} {
			status, body := control("GET", path, "")
			require.Equal(t, 200, status)
			require.Equal(t, string(xms.Encode(want)), body)
		}
		_, body := control("GET", "state", "")
		require.JSONEq(t, `{"batches":1,"recipients":2,"callbacks":1,"callbacks_inbound":0,"callbacks_pending":0,
			"callbacks_acknowledged":1,"callbacks_gave_up":0,"callbacks_lost":0,"callback_attempts":1,"callbacks_in_flight":0,
			"feedback_calls":1,"settled":true}`, body)
		status, _ := control("PUT", "ledger", "")
		require.Equal(t, 405, status)
	})
}

func TestControlSetsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		control := controlClient(t, u.sim)
		id := u.send(map[string]any{"to": numbers(2), "feedback_enabled": true})
		status, body := control("POST", "faults",
			`{"operation":"feedback","kind":"status","status":503,"retry_after":"2","times":2}`)
		require.Equal(t, 204, status, body)
		require.Equal(t, 503, u.feedback(id).status)
		_, body = control("GET", "faults", "")
		require.JSONEq(t,
			`[{"fault":{"operation":"feedback","kind":"status","status":503,"retry_after":"2","times":2},`+
				`"hits":1}]`, body)
		require.Equal(t, 503, u.feedback(id).status)
		_, body = control("GET", "faults", "")
		require.JSONEq(t, `[]`, body, "a fault that has hit all its calls must not be listed")

		status, _ = control("POST", "faults", `{"kind":"reset"}`)
		require.Equal(t, 204, status)
		status, _ = control("DELETE", "faults", "")
		require.Equal(t, 204, status)
		require.Equal(t, 202, u.feedback(id).status)
	})
}

func TestControlSetsOutcomesAndReceivesInbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		control := controlClient(t, u.sim)
		status, body := control("POST", "outcomes", `{"number":"+12025550000","status":"Expired","code":14}`)
		require.Equal(t, 204, status, body)
		u.send(map[string]any{"to": numbers(1), "delivery_report": "per_recipient_final"})
		status, body = control("POST", "inbound", `{"from":"12025550180","to":"54321","body":"STOP"}`)
		require.Equal(t, 202, status, body)
		var in struct{ ID string }
		require.NoError(t, json.Unmarshal([]byte(body), &in))
		u.settle()
		posts := u.received()
		require.Len(t, posts, 2)
		require.Contains(t, string(posts[0].body), `"id":"`+in.ID+`"`)
		require.Equal(t, "Expired", posts[1].report.Status)
	})
}

func TestControlRefusesInvalidBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		control := controlClient(t, u.sim)
		for _, c := range []struct{ path, body, text string }{
			{"faults", `{"kind":"smoke"}`, "smoke"},
			{"faults", `{"kind":"reset","for":"1s"}`, "for"},
			{"faults", `{"kind":"latency","latency":1}`, "latency"},
			{"faults", `{"kind":"reset"} {"kind":"reset"}`, "unexpected content"},
			{"faults", `{`, "EOF"},
			{"outcomes", `{"number":"me","status":"Failed"}`, "digits"},
			{"outcomes", `{"number":"12025550000","state":"Failed"}`, "state"},
			{"inbound", `{"from":"12025550000","to":"1","body":5}`, "body"},
			{"inbound", `{"from":"12025550000","to":"1","body":"x","plan":"other"}`, "other"},
		} {
			status, body := control("POST", c.path, c.body)
			require.Equal(t, 400, status, c.body)
			var refused struct{ Error string }
			require.NoError(t, json.Unmarshal([]byte(body), &refused))
			require.Contains(t, refused.Error, c.text, c.body)
		}
	})
}
