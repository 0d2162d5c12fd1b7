package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

const (
	figuresPlan  = "figures"
	figuresToken = "figures-token"
)

// figures are the numbers that are counted in more than one place.
type figures struct {
	Messages   map[string]int // by status
	Duplicates int
	Delivered  int          // messages
	Routed     int          // delivered messages to GB, the country of the batches whose reports name recipients
	Stored     int          // callbacks answered 200
	Accepted   int          // recipients whose feedback Sinch accepted
	Dropped    int          // recipients whose batch has feedback disabled
	Owed       int          // recipients with feedback to send
	Calls      map[bool]int // feedback calls, by whether they were answered 202
	Missing    int
}

// TestPrometheusFigures checks that dlrloop's API, Prometheus and the simulator's ledger have the same figures, after
// reports were repeated, reordered and lost and feedback calls failed in every way.
func TestPrometheusFigures(t *testing.T) {
	sinch, origin := newLossySinch(t)
	t.Setenv("DLRLOOP_PLANS_0_RECONCILE_SILENCE", "1s")
	t.Setenv("DLRLOOP_PLANS_0_RECONCILE_RATE", "20")
	t.Setenv("DLRLOOP_PLANS_0_FEEDBACK_TIMEOUT", "1s")
	p := newProgram(t, figuresPlan, figuresToken, "figures-secret", origin)
	require.NoError(t, sinch.SetCallbackURL(figuresPlan, "http://"+p.public+"/webhooks/"+figuresPlan))
	p.start()
	classic := startPrometheus(t, p.private)
	native := startPrometheus(t, p.private, nativeHistograms)
	before := time.Now()
	eventually(t, "scraped", func() bool { return classic.scrapedSince(before) && native.scrapedSince(before) })

	for number := range 3 * len(kinds) {
		send(t, p, number)
	}
	eventually(t, "settled", func() bool {
		quiet := sinch.Settled() // read first, since what Sinch sends later is not in the figures
		fromAPI := apiFigures(p)
		return quiet && pendingTasks(p) == 0 && fromAPI.Owed == 0 && fromAPI.Missing == 0
	})
	rest := time.Now()
	eventually(t, "scraped", func() bool { return classic.scrapedSince(rest) && native.scrapedSince(rest) })

	record := sinch.Ledger()
	expected := ledgerFigures(record)
	require.Positive(t, expected.Calls[false], "at least one feedback call must have failed")
	fromAPI := apiFigures(p)
	require.Positive(t, fromAPI.Duplicates, "at least one report must have been repeated")
	for _, scraped := range []figures{scrapedFigures(classic), scrapedFigures(native)} {
		assert.Equal(t, fromAPI.Messages, scraped.Messages)
		assert.Equal(t, fromAPI.Duplicates, scraped.Duplicates)
		assert.Equal(t, fromAPI.Accepted, scraped.Accepted)
		assert.Equal(t, fromAPI.Dropped, scraped.Dropped)
		assert.Equal(t, fromAPI.Owed, scraped.Owed)
		assert.Equal(t, fromAPI.Missing, scraped.Missing)

		assert.Equal(t, expected.Delivered, scraped.Delivered)
		assert.Equal(t, expected.Routed, scraped.Routed)
		assert.Equal(t, expected.Stored, scraped.Stored)
		assert.Equal(t, expected.Calls, scraped.Calls)
		assert.Equal(t, expected.Accepted, scraped.Accepted)
	}
	requireNativeHistograms(t, classic, native)
}

// requireNativeHistograms checks that a native histogram has the same count and sum as the classic one.
func requireNativeHistograms(t *testing.T, classic, native *prometheus) {
	t.Helper()
	const delivered = `dlrloop_delivery_latency_seconds{status="Delivered"}`
	require.Empty(t, native.query(`{__name__=~"dlrloop_.+_bucket"}`))
	count := classic.number(`dlrloop_delivery_latency_seconds_count{status="Delivered"}`)
	require.Positive(t, count)
	require.Equal(t, count, native.number("histogram_count("+delivered+")"))
	require.InDelta(t, classic.number(`dlrloop_delivery_latency_seconds_sum{status="Delivered"}`),
		native.number("histogram_sum("+delivered+")"), 1e-6)
	// Native buckets grow by 10 %. The classic buckets bound the median.
	median := native.number("histogram_quantile(0.5, " + delivered + ")")
	for _, s := range classic.query(`dlrloop_delivery_latency_seconds_bucket{status="Delivered"}`) {
		bound, err := strconv.ParseFloat(s.labels["le"], 64)
		require.NoError(t, err)
		if s.value < count/2 {
			require.GreaterOrEqual(t, median*1.1, bound)
		} else {
			require.LessOrEqual(t, median, bound*1.1)
		}
	}
	require.Positive(t, native.number(`histogram_quantile(0.5, sum(rate(dlrloop_delivery_latency_seconds[5m])))`))
}

// newLossySinch returns a running simulator with anomalies, which never calls back some of its reports.
func newLossySinch(t *testing.T) (*simulator.Simulator, string) {
	t.Helper()
	sinch, err := simulator.New(simulator.Config{
		Plans:     []simulator.Plan{{ID: figuresPlan, Token: figuresToken, Secret: "figures-secret"}},
		Seed:      1,
		Anomalies: simulator.Anomalies{Lost: 0.03, Upstream: 0.1, LateBy: 200 * time.Millisecond},
		RetryUnit: 50 * time.Millisecond,
		Pace:      50 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sinch.Run(ctx) }()
	api := httptest.NewServer(sinch.API())
	t.Cleanup(func() {
		sinch.ClearFaults()
		api.Close()
		stop()
		require.NoError(t, <-ended)
	})
	return sinch, api.URL
}

// send sends a batch through the gateway: to France if its report names no recipients, else to Britain.
func send(t *testing.T, p *program, number int) {
	t.Helper()
	kind, country := kinds[number%len(kinds)], "4477"
	if kind == "summary" {
		country = "336"
	}
	to := make([]string, 40)
	for i := range to {
		to[i] = fmt.Sprintf("%s%08d", country, number*len(to)+i)
	}
	body, err := json.Marshal(map[string]any{
		"from": "12025550100", "to": to, "body": "figures", "delivery_report": kind, "feedback_enabled": number%3 != 0,
	})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+p.private+"/xms/v1/"+figuresPlan+"/batches", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+figuresToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusCreated, answer.StatusCode)
}

// apiFigures returns the figures of dlrloop's API.
func apiFigures(p *program) figures {
	p.t.Helper()
	var stats struct {
		Plans []struct {
			Duplicates, Missing int
			Messages            []struct {
				Status   string
				Messages int
			}
			Feedback struct{ Owed, Sent, Dropped int }
		}
	}
	p.get("/api/v1/stats", &stats)
	f := figures{Messages: map[string]int{}}
	for _, plan := range stats.Plans {
		for _, m := range plan.Messages {
			f.Messages[m.Status] += m.Messages
		}
		f.Duplicates += plan.Duplicates
		f.Missing += plan.Missing
		f.Accepted += plan.Feedback.Sent
		f.Dropped += plan.Feedback.Dropped
		f.Owed += plan.Feedback.Owed
	}
	return f
}

// scrapedFigures returns the figures of Prometheus.
func scrapedFigures(p *prometheus) figures {
	p.t.Helper()
	f := figures{
		Messages:   p.by("status", `sum by (status) (dlrloop_messages_total)`),
		Duplicates: int(p.number(`sum(dlrloop_duplicates_total)`)),
		Delivered:  int(p.number(`sum(dlrloop_messages_total{status="Delivered"})`)),
		Routed:     int(p.number(`sum(dlrloop_route_messages_total{country="GB", result="delivered"})`)),
		Stored:     int(p.number(`sum(dlrloop_callbacks_total{outcome="stored"})`)),
		Accepted:   int(p.number(`sum(dlrloop_feedback_recipients_total{result="accepted"})`)),
		Dropped:    int(p.number(`sum(dlrloop_feedback_task_recipients{state="dropped"})`)),
		Owed:       int(p.number(`sum(dlrloop_feedback_task_recipients{state="pending"})`)),
		Missing:    int(p.number(`sum(dlrloop_messages_missing)`)),
		Calls:      map[bool]int{},
	}
	for reason, calls := range p.by("reason", `sum by (reason) (dlrloop_feedback_calls_total)`) {
		f.Calls[reason == "accepted"] += calls
	}
	return f
}

// ledgerFigures returns the figures that can be computed from the simulator's ledger.
func ledgerFigures(l ledger.Ledger) figures {
	f := figures{Calls: map[bool]int{}, Accepted: len(l.AppliedFeedback())}
	for _, b := range l.Batches {
		for _, r := range b.Recipients {
			if r.Status != "Delivered" {
				continue
			}
			f.Delivered++
			if b.Report != "summary" {
				f.Routed++
			}
		}
	}
	for _, c := range l.Callbacks {
		for _, a := range c.Attempts {
			if a.Status == http.StatusOK {
				f.Stored++
			}
		}
	}
	for _, c := range l.Feedback {
		f.Calls[c.Status == http.StatusAccepted]++
	}
	return f
}
