package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/fault"
)

const (
	plan    = "crash"
	token   = "crash-token"
	secret  = "crash-secret"
	workers = 4
)

// kinds are the report kinds that cause callbacks.
var kinds = []string{"per_recipient", "per_recipient_final", "full", "summary"}

// TestCrash kills dlrloop repeatedly under load. Afterwards it compares dlrloop's state and feedback with the
// simulator's ledger, and the events that an application received with dlrloop's state.
func TestCrash(t *testing.T) {
	kills := 5
	if long() {
		kills = 25
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	sinch, origin := newSinch(t, seed)
	application := newSink(t, seed)
	p := newProgramWith(t, plan, token, secret, origin, application.destination(50))
	require.NoError(t, sinch.SetCallbackURL(plan, "http://"+p.public+"/webhooks/"+plan))
	p.start()

	stopLoad := startLoad(t, sinch, origin, 2000)
	for range kills {
		// Progress, not time, triggers the kill, so the machine's speed does not matter.
		target := sinch.State().Acknowledged + 50 + random.IntN(700)
		eventually(t, "under load", func() bool { return sinch.State().Acknowledged >= target })
		p.kill()
		p.start()
	}
	stopLoad()
	eventually(t, "settled", func() bool {
		quiet := sinch.Settled()
		return quiet && pendingTasks(p) == 0
	})
	waitDelivered(p)
	p.stop()
	p.start() // from here on, answers come from disk
	ledger := sinch.Ledger()
	failed := checkAnswers(t, ledger, 0, http.StatusOK, http.StatusServiceUnavailable)
	assert.NotZero(t, failed, "at least one callback must have been retried, else the kills had no effect")
	checkStates(t, p, ledger)
	checkFeedback(t, ledger, kills)
	checkEvents(t, p, application)
}

// newSinch returns a running simulator that repeats, reorders and fails messages, and whose recipients reply. It
// accepts every API call, so that only a kill can cause a repeated feedback call.
func newSinch(t *testing.T, seed uint64) (*simulator.Simulator, string) {
	t.Helper()
	sinch, err := simulator.New(simulator.Config{
		Plans:     []simulator.Plan{{ID: plan, Token: token, Secret: secret}},
		Seed:      seed,
		Replies:   0.05,
		Anomalies: simulator.Anomalies{Upstream: -1, LateBy: 200 * time.Millisecond},
		RetryUnit: 50 * time.Millisecond,
		Pace:      50 * time.Millisecond,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sinch.Run(ctx) }()
	api := httptest.NewServer(sinch.API())
	t.Cleanup(func() {
		api.Close()
		stop()
		require.NoError(t, <-ended)
	})
	// The latency ensures that some calls are in flight at every kill.
	require.NoError(t,
		sinch.SetFault(fault.Fault{
			Operation: fault.OpFeedback, Kind: fault.Latency,
			Latency: 20 * time.Millisecond,
		}))
	return sinch, api.URL
}

// startLoad sends batches so that about waiting callbacks are pending at a time. stop ends the load and returns when
// the last batch has been sent.
func startLoad(t *testing.T, sinch *simulator.Simulator, origin string, waiting int) (stop func()) {
	load, end := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		sendBatches(load, t, sinch, origin, waiting)
	}()
	stop = func() {
		end()
		<-sent
	}
	t.Cleanup(stop)
	return stop
}

// sendBatches sends batches until ctx ends. It pauses while waiting callbacks are pending.
func sendBatches(ctx context.Context, t *testing.T, sinch *simulator.Simulator, origin string, waiting int) {
	for number := 0; ctx.Err() == nil; number++ {
		eventually(t, "accepting callbacks", func() bool { return ctx.Err() != nil || sinch.State().Pending < waiting })
		to := make([]string, 50)
		for i := range to {
			to[i] = fmt.Sprintf("4477%08d", number*len(to)+i)
		}
		if err := sendBatch(ctx, origin, to, kinds[number%len(kinds)], number%3 != 0); err != nil {
			assert.ErrorIs(t, err, context.Canceled) // ctx has ended
		}
	}
}

// sendBatch sends a batch directly to the API at origin.
func sendBatch(ctx context.Context, origin string, to []string, kind string, feedback bool) error {
	body, err := json.Marshal(map[string]any{
		"from": "12025550100", "to": to, "body": "crash", "delivery_report": kind, "feedback_enabled": feedback,
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/xms/v1/"+plan+"/batches", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

func pendingTasks(p *program) int {
	var stats struct {
		Plans []struct {
			Feedback struct {
				PendingTasks int `json:"pending_tasks"`
			}
		}
	}
	p.get("/api/v1/stats", &stats)
	pending := 0
	for _, plan := range stats.Plans {
		pending += plan.Feedback.PendingTasks
	}
	return pending
}
