package e2e

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNodeClientThroughGateway lets Sinch's own client talk to Sinch through dlrloop. For the client nothing changes; dlrloop
// knows every batch, takes its reports, and feeds back what the client confirmed and nothing else.
func TestNodeClientThroughGateway(t *testing.T) {
	sinch, origin := newCalmSinch(t)
	t.Setenv("DLRLOOP_PLANS_0_FEEDBACK_ON", "confirmed") // so that no report earns what the client is to confirm
	p := newProgram(t, nodePlan, nodeToken, nodeSecret, origin)
	p.start()
	gateway, webhook := "http://"+p.private, "http://"+p.public+"/webhooks/"+nodePlan

	batches := runSteps(t, "operations.mjs", nodeOperations, gateway, webhook)
	runSteps(t, "groups.mjs", nodeGroups, gateway, webhook)
	eventually(t, "at rest", func() bool { return sinch.Settled() && pendingTasks(p) == 0 })

	requireNodeFeedback(t, sinch.Ledger(), batches)
	delivered := map[string]int{"Delivered": 3}
	for step, want := range map[string]knownBatch{
		"send text":   {knownFacts{"per_recipient", true, false, 3, "gateway"}, delivered},
		"send binary": {knownFacts{"full", true, false, 3, "gateway"}, delivered},
		"send media":  {knownFacts{"summary", false, false, 3, "gateway"}, delivered},
		"cancel":      {knownFacts{"none", false, true, 3, "gateway"}, map[string]int{}},
	} {
		requireKnown(t, p, batches[step], want)
	}
}

// knownBatch is what dlrloop tells of a batch that passed the gateway.
type knownBatch struct {
	Facts  knownFacts
	Counts map[string]int
}

type knownFacts struct {
	Report          string `json:"delivery_report"`
	FeedbackEnabled bool   `json:"feedback_enabled"`
	Canceled        bool
	Recipients      int
	Source          string
}

// requireKnown requires what dlrloop tells of a batch in the end: an answer may leave the gateway before all of it is on disk.
func requireKnown(t *testing.T, p *program, id string, want knownBatch) {
	t.Helper()
	var known knownBatch
	defer func() {
		if t.Failed() {
			t.Logf("batch %s: want %+v, known is %+v", id, want, known)
		}
	}()
	eventually(t, "known", func() bool {
		answer, err := http.Get("http://" + p.private + "/api/v1/plans/" + nodePlan + "/batches/" + id)
		require.NoError(t, err)
		defer answer.Body.Close()
		if answer.StatusCode == http.StatusNotFound {
			return false
		}
		known = knownBatch{}
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&known))
		return reflect.DeepEqual(want, known)
	})
}
