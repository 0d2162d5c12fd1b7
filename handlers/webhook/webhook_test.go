package webhook_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// For each fault of ours the answer makes Sinch repeat the callback, and the repeated report is stored exactly once
// (promise 2 in docs/architecture.md).
func TestNoFaultOfOursLosesAReport(t *testing.T) {
	fails := func(kind storetest.Kind, err error) func(*publicServer) {
		return func(p *publicServer) { p.store.FailRecord(kind, err, 1) }
	}
	for name, c := range map[string]struct {
		fault   func(*publicServer)
		outcome string
		applied bool
	}{
		"fails":              {fails(storetest.NotApplied, nil), "failed", false},
		"fails, yet applied": {fails(storetest.Applied, nil), "failed", true},
		"odd error":          {fails(storetest.NotApplied, errors.New("disk on fire")), "failed", false},
		"not found":          {fails(storetest.NotApplied, store.ErrNotFound), "failed", false},
		"invalid cursor":     {fails(storetest.NotApplied, store.ErrCursor), "failed", false},
		"busy":               {fails(storetest.NotApplied, store.ErrBusy), "busy", false},
		"busy, wrapped":      {fails(storetest.NotApplied, fmt.Errorf("record: %w", store.ErrBusy)), "busy", false},
		"closed":             {fails(storetest.NotApplied, store.ErrClosed), "busy", false},
		"too slow":           {fails(storetest.Slow, nil), "busy", true},
		"stuck":              {fails(storetest.Stuck, nil), "busy", false},
		"panics":             {fails(storetest.Panics, nil), "failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, func(c *webhook.Config) { c.StoreTimeout = time.Second })
			c.fault(p)

			r := p.send(t, report("447700900133"))
			require.Equal(t, http.StatusServiceUnavailable, r.status)
			require.NotEmpty(t, r.header.Get("Retry-After"))
			problemOf(t, r)
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome="+c.outcome))
			require.Equal(t, 1, p.count(t, "callbacks_total"))
			require.Len(t, p.kept(t), map[bool]int{true: 1}[c.applied])

			p.store.Heal()
			require.Equal(t, http.StatusOK, p.send(t, report("447700900133")).status,
				"the repeated callback is accepted")
			require.Len(t, p.kept(t), 1)
			require.Zero(t, p.count(t, "lossy_responses_total"))
		})
	}
}

func TestAnEndedStoreLosesNoReport(t *testing.T) {
	p := servePublic(t, nil)
	p.store.End(errors.New("fdatasync: input/output error"))
	r := p.send(t, report("447700900133"))
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.Zero(t, p.count(t, "lossy_responses_total"))
}

// A store failure while a callback is quarantined is answered as for a report.
func TestNoFaultOfOursLosesAnUnparsedCallback(t *testing.T) {
	p := servePublic(t, nil)
	c := callback{header: verified(), body: []byte(`{"type":"report_of_tomorrow"}`)}
	p.store.FailRecord(storetest.NotApplied, nil, 1)
	require.Equal(t, http.StatusServiceUnavailable, p.send(t, c).status)
	require.Empty(t, p.quarantined(t))
	require.Equal(t, http.StatusOK, p.send(t, c).status)
	require.Equal(t, []string{string(c.body)}, p.quarantined(t))
}

// A caller without the secret cannot raise the alert about lost callbacks.
func TestNoUnauthenticatedCallbackCountsAsLost(t *testing.T) {
	guessed := sign("guess", nil, time.Now())
	header := webhook.Auth{HMAC: bySecrets("s").HMAC, Header: byHeader("token-of-sinch").Header}
	both := guessed.Clone()
	both.Set("X-Callback-Token", "token-of-sinch")
	long := bytes.Repeat([]byte(" "), 1001)
	for name, c := range map[string]struct {
		auth     webhook.Auth
		callback callback
	}{
		"announced":            {bySecrets("s"), callback{header: guessed, body: long}},
		"hidden":               {bySecrets("s"), callback{header: guessed, body: long, length: -1}},
		"announced and absent": {bySecrets("s"), callback{header: guessed, body: long, length: 1 << 40}},
		"signature missing":    {header, callback{header: both, body: long}},
		"bomb":                 {bySecrets("s"), callback{header: guessed, body: zipped(t, make([]byte, 100_000))}},
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, func(config *webhook.Config) {
				config.MaxBody, config.Plans[0].Auth = 1000, c.auth
			})
			if c.callback.length > 0 {
				post(p.dial(t, ""), c.callback.header, int(c.callback.length), nil)()
			} else {
				p.send(t, c.callback)
			}
			require.Zero(t, p.count(t, "lossy_responses_total"))
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome=too_large_unverified"))
			require.Zero(t, p.count(t, "callbacks_total", "outcome=too_large"))
		})
	}
}

func TestNothingElseIsServed(t *testing.T) {
	p := servePublic(t, nil)
	for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS", "HEAD"} {
		r := p.send(t, callback{method: method})
		require.Equal(t, http.StatusMethodNotAllowed, r.status, method)
		require.Equal(t, "POST", r.header.Get("Allow"))
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/api/v1/batches", "/webhooks", "/xms/v1/" + plan +
		"/batches"} {
		r := p.send(t, callback{method: "GET", path: path})
		require.Equal(t, http.StatusNotFound, r.status, path)
	}
	require.Zero(t, p.count(t, "callbacks_total"))
	require.Equal(t, http.StatusOK, p.send(t, callback{method: "GET", path: "/healthz"}).status)
	require.Equal(t, http.StatusOK, p.send(t, callback{method: "HEAD", path: "/healthz"}).status)
}

func TestEveryFixtureIsAccepted(t *testing.T) {
	names := fixtures.Names(t, "cb-*.json")
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			body := fixtures.Read(t, name)
			p := servePublic(t, nil)
			require.Equal(t, http.StatusOK, p.send(t, callback{header: verified(), body: body}).status)
			require.Equal(t, http.StatusOK, p.send(t, callback{header: verified(), body: body, length: -1}).status)

			batches, err := p.store.Batches(t.Context(), store.BatchQuery{})
			require.NoError(t, err)
			switch {
			case strings.HasPrefix(name, "cb-mo-"):
				require.Empty(t, batches.Items)
				require.Empty(t, p.quarantined(t))
				messages, err := p.store.InboundMessages(t.Context(), store.InboundQuery{})
				require.NoError(t, err)
				require.Len(t, messages.Items, 1, "the second callback is a repeat")
				require.Equal(t, string(body), string(messages.Items[0].Raw))
				require.Equal(t, 2, p.count(t, "callbacks_total", "outcome=inbound"))
			case name == "cb-unknown-type.json":
				require.Empty(t, batches.Items)
				require.Equal(t, []string{string(body), string(body)}, p.quarantined(t))
			default:
				require.Len(t, batches.Items, 1)
				reports, err := p.store.Reports(t.Context(), batches.Items[0].Key(), store.Paging{})
				require.NoError(t, err)
				require.Len(t, reports.Items, 1, "the second callback is a repeat")
				require.Equal(t, string(body), string(reports.Items[0].Raw))
				require.Equal(t, store.FromCallback, reports.Items[0].Source)
				require.Equal(t, 2, p.count(t, "callbacks_total", "outcome=stored"))
			}
		})
	}
}

func TestDiscardedInboundMessagesAreNotStored(t *testing.T) {
	p := servePublic(t, func(c *webhook.Config) { c.DiscardInbound = true })
	for _, name := range fixtures.Names(t, "cb-mo-*.json") {
		body := fixtures.Read(t, name)
		require.Equal(t, http.StatusOK, p.send(t, callback{header: verified(), body: body}).status)
	}
	unreadable := callback{header: verified(), body: []byte(`{"type":"mo_text","body":"without an id"}`)}
	require.Equal(t, http.StatusOK, p.send(t, unreadable).status)
	require.Equal(t, 4, p.count(t, "callbacks_total", "outcome=inbound"))
	messages, err := p.store.InboundMessages(t.Context(), store.InboundQuery{})
	require.NoError(t, err)
	require.Empty(t, messages.Items)
	require.Empty(t, p.quarantined(t))
}

func TestConcurrentCallbacks(t *testing.T) {
	p := servePublic(t, nil)
	var senders errgroup.Group
	senders.SetLimit(32)
	const reports = 500
	for i := range reports {
		senders.Go(func() error {
			if r := p.send(t, report(fmt.Sprintf("4477%08d", i))); r.status != http.StatusOK {
				return fmt.Errorf("answered %d", r.status)
			}
			return nil
		})
	}
	require.NoError(t, senders.Wait())
	stats, err := p.store.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, reports, stats[0].Recipients)
	require.Equal(t, reports, p.count(t, "callbacks_total", "outcome=stored"))
}

func TestRequestIDIsEchoed(t *testing.T) {
	p := servePublic(t, nil)
	ok, wrong := report("447700900133"), callback{header: http.Header{}}
	require.NotContains(t, p.send(t, ok).header, "X-Request-Id")
	require.NotEmpty(t, problemOf(t, p.send(t, wrong)).RequestID, "a missing id is generated")

	ok.header.Set("X-Request-Id", "id-7")
	wrong.header.Set("X-Request-Id", "id-8")
	require.Equal(t, "id-7", p.send(t, ok).header.Get("X-Request-Id"))
	require.Equal(t, "id-8", problemOf(t, p.send(t, wrong)).RequestID)

	for _, unfit := range []string{"two words", strings.Repeat("x", 129), "umläut"} {
		wrong.header.Set("X-Request-Id", unfit)
		require.NotEqual(t, unfit, problemOf(t, p.send(t, wrong)).RequestID)
	}
}

// The log names the remedy, limits repeated lines, and contains neither numbers nor secrets.
func TestTheLogIsLimitedAndContainsNoSecret(t *testing.T) {
	p := servePublic(t, nil)
	p.store.FailRecord(storetest.Panics, nil, 1)
	p.send(t, report("447700900133"))
	p.store.FailRecord(storetest.NotApplied, nil, 10)
	for range 10 {
		p.send(t, report("447700900133"))
		p.send(t, callback{
			path:   "/webhooks/" + plan + "/" + token,
			header: http.Header{"X-Callback-Token": {"guess-7"}}, body: report("447700900133").body,
		})
		p.send(t, callback{path: "/webhooks/plan-b/" + token, header: verified(), body: report("447700900133").body})
		p.send(t, callback{header: verified(), body: []byte(`447700900133`)})
	}
	require.Equal(t, http.StatusOK, p.send(t, report("447700900133")).status)

	require.Len(t, p.log.lines(`"level":"ERROR"`, "handler panicked", "stack"), 1)
	require.Len(t, p.log.lines(`"level":"ERROR"`, `"problem":"unavailable"`, "injected failure", plan), 1)
	require.Len(t, p.log.lines(`"level":"WARN"`, `"problem":"credentials"`, plan, "correct the plan's webhook.auth"), 1)
	require.Len(t, p.log.lines(`"level":"WARN"`, `"problem":"unknown-webhook"`, "plan-b", "correct the callback URL"),
		1)
	require.Len(t, p.log.lines(`"level":"WARN"`, "kept in quarantine", `"reason":"not_json"`), 1)
	require.NotEmpty(t, p.log.lines(`"level":"DEBUG"`, "callback accepted", `"outcome":"stored"`))
	for _, secret := range []string{"447700900133", "token-of-sinch", "guess-7", token} {
		require.Empty(t, p.log.lines(secret))
	}
}

func TestLoggedUnknownPlansAreBounded(t *testing.T) {
	p := servePublic(t, nil)
	p.send(t, callback{path: "/webhooks/made-up" + strings.Repeat("x", 5000)})
	require.Len(t, p.log.lines("made-up"+strings.Repeat("x", 57)+`"`), 1)
	for i := range 300 {
		p.send(t, callback{path: fmt.Sprintf("/webhooks/made-up-%d", i)})
	}
	require.Len(t, p.log.lines("made-up"), 101, "a hundred by name, then at most one per interval")
	require.Equal(t, 301, p.count(t, "callbacks_total", "outcome=unknown_plan", "plan=other"))
}

func TestForwardedAddressesAreUsedFromTrustedProxiesOnly(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		want    string
	}{
		"none": {nil, `"client":"127.0.0.1"`}, "this one": {[]string{"127.0.0.0/8"}, `"client":"192.0.2.7"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, func(config *webhook.Config) { config.TrustedProxies = c.trusted })
			p.send(t, callback{header: http.Header{"X-Forwarded-For": {"192.0.2.7"}}})
			require.Len(t, p.log.lines(`"problem":"credentials"`, c.want), 1)
		})
	}
}
