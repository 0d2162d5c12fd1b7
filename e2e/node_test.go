package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	nodePlan   = "node"
	nodeToken  = "node-token"
	nodeSecret = "node-secret"
)

// nodeOperations are the steps of node/operations.mjs, in order.
var nodeOperations = []string{
	"send text", "send binary", "send media",
	"dry run", "dry run of each recipient",
	"get", "send later", "update", "replace", "cancel", "report of a canceled batch",
	"list", "list page by page", "list nothing",
	"summary report of text", "full report of text",
	"summary report of binary", "full report of binary",
	"summary report of media", "full report of media",
	"report of failures", "report of a recipient", "list of reports",
	"feedback", "feedback for all recipients",
	"get an unknown batch", "update an unknown batch", "replace an unknown batch", "cancel an unknown batch",
	"report of an unknown batch", "report of an unknown recipient",
	"send without recipients", "update a dispatched batch",
	"send with a wrong token", "get with a wrong token",
}

// nodeGroups are the steps of node/groups.mjs, in order.
var nodeGroups = []string{
	"create a group", "get a group", "update a group", "members of a group", "replace a group", "list groups",
	"send to a group", "dry run to a group", "feedback for all recipients of a group",
	"create a group again", "delete a group", "get a deleted group", "send to a deleted group",
}

// runSteps runs a script of the directory node against the API at origin and checks that it completes all steps.
// Reports are called back to callbackURL. It returns, by step, the id in the result of each step that has one.
func runSteps(t *testing.T, script string, steps []string, origin, callbackURL string) map[string]string {
	t.Helper()
	printed := runNode(t, script, nil,
		"SMS_HOSTNAME="+origin, "SERVICE_PLAN_ID="+nodePlan, "API_TOKEN="+nodeToken, "CALLBACK_URL="+callbackURL)
	var done []string
	ids := map[string]string{}
	for lines := json.NewDecoder(bytes.NewReader(printed)); lines.More(); {
		var step struct {
			Operation string
			Result    json.RawMessage
		}
		require.NoError(t, lines.Decode(&step))
		done = append(done, step.Operation)
		var identified struct{ ID string }
		if json.Unmarshal(step.Result, &identified) == nil && identified.ID != "" {
			ids[step.Operation] = identified.ID
		}
	}
	require.Equal(t, steps, done)
	return ids
}

// runNode runs a script of the directory node and returns its standard output. The script must end within maxWait.
func runNode(t *testing.T, script string, input io.Reader, environment ...string) []byte {
	t.Helper()
	node := installNodeClient(t)
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	c := exec.CommandContext(ctx, node, script)
	c.Dir, c.Env, c.Stdin = "node", append(os.Environ(), environment...), input
	var stderr bytes.Buffer
	c.Stderr = &stderr
	printed, err := c.Output()
	require.NoError(t, err, "%s", &stderr)
	return printed
}

// installNodeClient installs Sinch's client as pinned in node/package-lock.json unless it is installed, and returns
// the path of node. It skips the test if node or npm is not installed.
func installNodeClient(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	// npm writes the first file last.
	if newer(filepath.Join("node", "node_modules", ".package-lock.json"), filepath.Join("node", "package-lock.json")) {
		return node
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed")
	}
	c := exec.Command(npm, "ci")
	c.Dir = "node"
	output, err := c.CombinedOutput()
	require.NoError(t, err, "npm ci needs npm's registry or a filled cache:\n%s", output)
	return node
}

// newer reports whether file a exists and is newer than b.
func newer(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && x.ModTime().After(y.ModTime())
}
