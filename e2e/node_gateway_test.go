package e2e

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNodeClientThroughGateway connects Sinch's own client through dlrloop's gateway. The client must get the same
// answers. dlrloop must record every batch, store its reports, and send exactly the feedback that the client
// confirmed.
func TestNodeClientThroughGateway(t *testing.T) {
	sinch, origin := newCalmSinch(t)
	t.Setenv("DLRLOOP_PLANS_0_FEEDBACK_ON", "confirmed") // only the client's confirmation earns feedback, not a report
	p := newProgram(t, nodePlan, nodeToken, nodeSecret, origin)
	p.start()
	gateway, webhook := "http://"+p.private, "http://"+p.public+"/webhooks/"+nodePlan

	batches := runSteps(t, "operations.mjs", nodeOperations, gateway, webhook)
	runSteps(t, "groups.mjs", nodeGroups, gateway, webhook)
	eventually(t, "settled", func() bool { return sinch.Settled() && pendingTasks(p) == 0 })

	requireNodeFeedback(t, sinch.Ledger(), batches)
	delivered := map[string]int{"Delivered": 3}
	for step, want := range map[string]recordedBatch{
		"send text":   {batchInfo{"per_recipient", true, false, 3, "gateway"}, delivered},
		"send binary": {batchInfo{"full", true, false, 3, "gateway"}, delivered},
		"send media":  {batchInfo{"summary", false, false, 3, "gateway"}, delivered},
		"cancel":      {batchInfo{"none", false, true, 3, "gateway"}, map[string]int{}},
	} {
		requireRecorded(t, p, batches[step], want)
	}
}

// recordedBatch is dlrloop's API answer for a batch that was sent through the gateway.
type recordedBatch struct {
	Info   batchInfo
	Counts map[string]int
}

type batchInfo struct {
	Report          string `json:"delivery_report"`
	FeedbackEnabled bool   `json:"feedback_enabled"`
	Canceled        bool
	Recipients      int
	Source          string
}

// requireRecorded waits until dlrloop's API returns want for a batch. The gateway may answer before everything is on
// disk.
func requireRecorded(t *testing.T, p *program, id string, want recordedBatch) {
	t.Helper()
	var known recordedBatch
	defer func() {
		if t.Failed() {
			t.Logf("batch %s: want %+v, got %+v", id, want, known)
		}
	}()
	eventually(t, "recorded", func() bool {
		answer, err := http.Get("http://" + p.private + "/api/v1/plans/" + nodePlan + "/batches/" + id)
		require.NoError(t, err)
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusNotFound {
			return false
		}
		known = recordedBatch{}
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&known))
		return reflect.DeepEqual(want, known)
	})
}
