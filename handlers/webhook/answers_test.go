package webhook_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestAnswersToCallbacks(t *testing.T) {
	small := func(c *webhook.Config) { c.MaxBody = 1000 }
	reject := func(c *webhook.Config) { c.Plans[0].OnFailure = webhook.RejectOnFailure }
	wrongSecret := http.Header{"X-Callback-Token": {"guess"}}
	long := bytes.Repeat([]byte(" "), 1001)

	for name, c := range map[string]struct {
		config      func(*webhook.Config)
		callback    callback
		status      int
		outcome     string
		problem     string
		lossy       int
		quarantined bool
	}{
		"report": {nil, report("447700900133"), 200, "stored", "", 0, false},
		"no JSON": {
			nil,
			callback{header: verified(), body: []byte("<xml>")},
			200, "quarantined", "", 0,
			true,
		},
		"cut JSON": {
			nil,
			callback{header: verified(), body: report("4").body[:40]},
			200, "quarantined", "",
			0, true,
		},
		"empty body": {nil, callback{header: verified()}, 200, "quarantined", "", 0, false},
		"unknown type": {
			nil,
			callback{header: verified(), body: []byte(`{"type":"x"}`)},
			200, "quarantined", "",
			0, true,
		},
		"no batch": {nil, callback{
			header: verified(),
			body:   []byte(`{"type":"delivery_report_sms","statuses":[]}`),
		}, 200, "quarantined", "", 0, true},
		"inbound": {nil, callback{
			header: verified(),
			body:   []byte(`{"type":"mo_text","id":"m","body":"hi"}`),
		}, 200, "inbound", "", 0, false},
		"gzip": {
			nil,
			callback{header: verified(), body: zipped(t, report("447700900133").body)},
			200,
			"stored", "", 0, false,
		},
		"broken gzip": {
			nil,
			callback{header: verified(), body: zipped(t, long)[:20]},
			200, "quarantined", "",
			0, true,
		},
		"no gzip at all": {
			nil,
			callback{header: verified(), body: []byte("\x1f\x8b?")},
			200, "quarantined", "", 0,
			true,
		},
		"other encoding": {
			nil,
			callback{header: verified(), body: []byte("x\x9c\xab\xae\x05\x00")},
			200,
			"quarantined", "", 0, true,
		},
		"wrong secret": {
			nil,
			callback{header: wrongSecret, body: report("4").body},
			503, "unauthorized",
			"credentials", 0, false,
		},
		"wrong, reject": {
			reject,
			callback{header: wrongSecret, body: report("4").body},
			401, "unauthorized",
			"unauthorized", 0, false,
		},
		"no secret": {nil, callback{body: report("4").body}, 503, "unauthorized", "credentials", 0, false},
		"too large": {small, callback{header: verified(), body: long}, 413, "too_large", "too-large", 1, false},
		"too large, hidden": {
			small, callback{header: verified(), body: long, length: -1}, 413, "too_large", "too-large", 1, false,
		},
		"just fits": {small, callback{header: verified(), body: long[1:]}, 200, "quarantined", "", 0, true},
		"just fits, hidden": {
			small, callback{header: verified(), body: long[1:], length: -1}, 200, "quarantined", "", 0, true,
		},
		"gzip bomb": {
			small,
			callback{header: verified(), body: zipped(t, make([]byte, 100_000))},
			413,
			"too_large", "too-large", 1, false,
		},
		"unknown plan": {
			nil,
			callback{path: "/webhooks/plan-b", header: verified(), body: report("4").body},
			503, "unknown_plan", "unknown-webhook", 0, false,
		},
		"no plan": {
			nil,
			callback{path: "/webhooks/", header: verified(), body: report("4").body},
			503,
			"unknown_plan", "unknown-webhook", 0, false,
		},
		"prefix lost": {
			nil,
			callback{path: "/" + plan, header: verified(), body: report("4").body},
			503,
			"unknown_plan", "unknown-webhook", 0, false,
		},
		"slash too many": {nil, callback{
			path: "/webhooks/" + plan + "/", header: verified(),
			body: report("4").body,
		}, 200, "stored", "", 0, false},
		"slashes before": {
			nil,
			callback{path: "//webhooks/" + plan, header: verified(), body: report("4").body},
			200, "stored", "", 0, false,
		},
		"slashes anywhere": {nil, callback{
			path: "///webhooks///" + plan + "//", header: verified(),
			body: report("4").body,
		}, 200, "stored", "", 0, false},
		"slashes, wrong": {
			nil,
			callback{path: "//webhooks/" + plan, header: wrongSecret, body: report("4").body},
			503, "unauthorized", "credentials", 0, false,
		},
		"slashes, unknown": {
			nil,
			callback{path: "//webhooks//plan-b", header: verified(), body: report("4").body},
			503, "unknown_plan", "unknown-webhook", 0, false,
		},
		"dots": {
			nil,
			callback{path: "/webhooks/../" + plan, header: verified(), body: report("4").body},
			503, "unknown_plan", "unknown-webhook", 0, false,
		},
		"segment too many": {nil, callback{
			path: "/webhooks/" + plan + "/x/y", header: verified(),
			body: report("4").body,
		}, 200, "stored", "", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, c.config)
			r := p.send(t, c.callback)
			require.Equal(t, c.status, r.status)
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome="+c.outcome))
			require.Equal(t, 1, p.count(t, "callbacks_total"))
			require.Equal(t, c.lossy, p.count(t, "lossy_responses_total"))
			if c.quarantined {
				require.Equal(t, []string{string(c.callback.body)}, p.quarantined(t))
			}
			if c.problem == "" {
				require.Empty(t, r.body)
				return
			}
			require.Equal(t, "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"+c.problem,
				problemOf(t, r).Type)
			require.Empty(t, p.kept(t))
			require.Equal(t, c.status == 503, r.header.Get("Retry-After") != "")
			require.Zero(t, p.store.Calls(storetest.Record), "the store must not be called")
		})
	}
}
