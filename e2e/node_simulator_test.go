package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// TestNodeClient runs Sinch's own client for Node against the simulator. The client must accept the simulator's
// answers and callbacks as it accepts Sinch's.
func TestNodeClient(t *testing.T) {
	sinch, origin := newCalmSinch(t)
	var receiver callbackReceiver
	api := httptest.NewServer(&receiver)
	t.Cleanup(api.Close)
	require.NoError(t, sinch.SetCallbackURL(nodePlan, api.URL))

	batches := runSteps(t, "operations.mjs", nodeOperations, origin, api.URL)
	_, err := sinch.Receive(simulator.Inbound{
		From: "447700900133", To: "12025550100",
		Body: json.RawMessage(`"Grüße, 你好"`),
	})
	require.NoError(t, err)
	eventually(t, "settled", sinch.Settled)

	requireNodeFeedback(t, sinch.Ledger(), batches)
	text, binary, media := batches["send text"], batches["send binary"], batches["send media"]
	require.Equal(t, map[nodeCallback]int{
		{Type: "recipient_delivery_report_sms", BatchID: text, Status: "Dispatched"}: 3,
		{Type: "recipient_delivery_report_sms", BatchID: text, Status: "Delivered"}:  3,
		{Type: "delivery_report_sms", BatchID: binary}:                               1,
		{Type: "delivery_report_mms", BatchID: media}:                                1,
		{Type: "mo_text", Body: "Grüße, 你好"}:                                         1,
	}, readByNode(t, receiver.received()))
}

// TestNodeClientOfGroups does the same for groups.
func TestNodeClientOfGroups(t *testing.T) {
	_, origin := newCalmSinch(t)
	runSteps(t, "groups.mjs", nodeGroups, origin, "")
}

// newCalmSinch returns a running simulator without anomalies and with a short Pace.
func newCalmSinch(t *testing.T) (*simulator.Simulator, string) {
	t.Helper()
	sinch, err := simulator.New(simulator.Config{
		Plans: []simulator.Plan{{ID: nodePlan, Token: nodeToken, Secret: nodeSecret}},
		Calm:  true,
		Pace:  20 * time.Millisecond,
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
	return sinch, api.URL
}

// requireNodeFeedback checks that the ledger has exactly the feedback that node/operations.mjs sent.
func requireNodeFeedback(t *testing.T, l ledger.Ledger, batches map[string]string) {
	t.Helper()
	text, binary := batches["send text"], batches["send binary"]
	require.Equal(t, nodeFeedback(batches), l.AppliedFeedback())
	require.Len(t, l.Feedback, 2)
	for _, c := range l.Feedback {
		require.Contains(t, []string{text, binary}, c.Batch)
		require.Equal(t, c.Batch == binary, c.WholeBatch, "only the call for the binary batch must have empty recipients")
	}
}

// nodeFeedback returns the feedback that node/operations.mjs sent: for one recipient of one batch, for all recipients
// of another.
func nodeFeedback(batches map[string]string) map[ledger.BatchRecipient]int {
	text, binary := batches["send text"], batches["send binary"]
	return map[ledger.BatchRecipient]int{
		{Batch: text, Recipient: "447700900133"}:   1,
		{Batch: binary, Recipient: "447700900133"}: 1,
		{Batch: binary, Recipient: "447700900166"}: 1,
		{Batch: binary, Recipient: "447700900199"}: 1,
	}
}

// receivedCallback is a callback as it was received.
type receivedCallback struct {
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// callbackReceiver acknowledges every callback and stores it.
type callbackReceiver struct {
	mu        sync.Mutex // guards callbacks
	callbacks []receivedCallback
}

func (c *callbackReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	headers := map[string]string{}
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callbacks = append(c.callbacks, receivedCallback{headers, string(body)})
}

func (c *callbackReceiver) received() []receivedCallback {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.callbacks
}

// nodeCallback holds the compared members of a callback that Sinch's client has parsed.
type nodeCallback struct {
	Type    string
	BatchID string `json:"batch_id"`
	Status  string
	Body    string
}

// readByNode lets Sinch's client verify and parse callbacks, and counts them.
func readByNode(t *testing.T, callbacks []receivedCallback) map[nodeCallback]int {
	t.Helper()
	input, err := json.Marshal(callbacks)
	require.NoError(t, err)
	counts := map[nodeCallback]int{}
	printed := runNode(t, "callbacks.mjs", bytes.NewReader(input), "WEBHOOK_SECRET="+nodeSecret)
	for lines := json.NewDecoder(bytes.NewReader(printed)); lines.More(); {
		var c nodeCallback
		require.NoError(t, lines.Decode(&c))
		counts[c]++
	}
	return counts
}
