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

// nodeOperations is what node/operations.mjs does, in order.
var nodeOperations = []string{
	"send text", "send binary", "send media",
	"dry run", "dry run of each recipient",
	"get", "send later", "update", "replace", "cancel", "report of a canceled batch",
	"list", "list page by page", "list nothing",
	"summary report of text", "full report of text",
	"summary report of binary", "full report of binary",
	"summary report of media", "full report of media",
	"report of failures", "report of a recipient", "list of reports",
	"feedback", "feedback of everybody",
	"get an unknown batch", "update an unknown batch", "replace an unknown batch", "cancel an unknown batch",
	"report of an unknown batch", "report of a stranger",
	"send to nobody", "update what has left",
	"send with a wrong token", "get with a wrong token",
}

// nodeGroups is what node/groups.mjs does, in order.
var nodeGroups = []string{
	"create a group", "get a group", "update a group", "members of a group", "replace a group", "list groups",
	"send to a group", "dry run to a group", "feedback of everybody in a group",
	"create a group again", "delete a group", "get a deleted group", "send to a deleted group",
}

// runSteps drives the API at origin with a script of the folder node and requires all its steps. Reports are to be called back
// to callbackURL. It returns the id in the result of each step that has one.
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

// runNode runs a script of the folder node, and returns what it printed. It must end well within patience.
func runNode(t *testing.T, script string, input io.Reader, environment ...string) []byte {
	t.Helper()
	node := installNodeClient(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, node, script)
	c.Dir, c.Env, c.Stdin = "node", append(os.Environ(), environment...), input
	var surprise bytes.Buffer
	c.Stderr = &surprise
	printed, err := c.Output()
	require.NoError(t, err, "%s", &surprise)
	return printed
}

// installNodeClient installs Sinch's client as node/package-lock.json has it, unless that has been done, and returns the path
// of node. Without node or npm the test is skipped.
func installNodeClient(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: Sinch's client for Node cannot run")
	}
	// npm writes the first file last.
	if newer(filepath.Join("node", "node_modules", ".package-lock.json"), filepath.Join("node", "package-lock.json")) {
		return node
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not installed: Sinch's client for Node cannot be installed")
	}
	c := exec.Command(npm, "ci")
	c.Dir = "node"
	said, err := c.CombinedOutput()
	require.NoError(t, err, "npm ci needs npm's registry, or npm's cache filled by an earlier run:\n%s", said)
	return node
}

// newer says whether file a is there and younger than b.
func newer(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && x.ModTime().After(y.ModTime())
}
