package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPrometheus lets Prometheus scrape the demo and evaluates all queries of the dashboards and rules. None may
// fail, and none may be empty if the demo has figures for it.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	demo := startDemo(t)
	classic := startPrometheus(t, demo.private)
	native := startPrometheus(t, demo.private, nativeHistograms)
	panels := panelQueries(t)
	// The next batch starts a new round, so the first round is complete.
	eventually(t, "through its first round", func() bool { return demo.sent() > roundBatches })

	requirePanels(t, classic, panels)
	requireRules(t, classic)
	requireRules(t, native)
}

// requirePanels waits until every query has a result. Queries that may be empty must at least be valid.
func requirePanels(t *testing.T, p *prometheus, panels []panelQuery) {
	t.Helper()
	for _, q := range panels {
		if !q.MayBeEmpty {
			eventually(t, "with figures: "+q.String(), func() bool { return len(p.query(q.Expr)) > 0 })
		}
	}
	for _, q := range panels {
		p.query(q.Expr)
	}
}

// withoutFigures are the recording rules for which the demo has no figures, with the reason.
var withoutFigures = map[string]string{
	"job:dlrloop_store_used:ratio": "the demo has no store.size_limit",
}

// requireRules checks that every rule evaluates without an error and that every recording rule has a result.
func requireRules(t *testing.T, p *prometheus) {
	t.Helper()
	eventually(t, "evaluated", func() bool {
		for _, r := range p.rules() {
			if r.Health == "unknown" {
				return false
			}
		}
		return true
	})
	rules, recording := p.rules(), 0
	for _, r := range rules {
		assert.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
		samples := p.query(r.Query)
		switch reason := withoutFigures[r.Name]; {
		case r.Type != "recording":
		case reason != "":
			assert.Empty(t, samples, "%s: %s", r.Name, reason)
		default:
			recording++
			eventually(t, "with figures: "+r.Name,
				func() bool { return len(p.query(r.Query)) > 0 && len(p.query(r.Name)) > 0 })
		}
	}
	assert.Positive(t, recording)
	assert.Greater(t, len(rules), recording+len(withoutFigures), "there must be alerts")
}

// panelQuery is a query of a dashboard panel.
type panelQuery struct {
	Dashboard, Panel, Expr string
	MayBeEmpty             bool
}

func (q panelQuery) String() string { return q.Dashboard + ", " + q.Panel + ": " + q.Expr }

// panelQueries returns the queries of all panels, with Grafana's variables filled in.
func panelQueries(t *testing.T) (queries []panelQuery) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "run", "./queries")
	c.Dir, c.Stderr = "../dashboards", os.Stderr
	printed, err := c.Output()
	require.NoError(t, err)
	dashboards := map[string]bool{}
	for lines := json.NewDecoder(bytes.NewReader(printed)); lines.More(); {
		var q panelQuery
		require.NoError(t, lines.Decode(&q))
		require.NotContains(t, q.Expr, "$", "a variable without a value: %s", q)
		queries = append(queries, q)
		dashboards[q.Dashboard] = true
	}
	require.Len(t, dashboards, 5)
	return queries
}

// roundBatches is the number of batches in one round of the demo.
const roundBatches = 6

// demo is a running demo.
type demo struct {
	private string // the address of dlrloop's private listener

	mu      sync.Mutex // guards batches
	batches int
}

// sent returns how many batches the demo has sent.
func (d *demo) sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.batches
}

// startDemo starts the demo, which runs until the test ends.
func startDemo(t *testing.T) *demo {
	t.Helper()
	c := exec.Command(binary, "demo", "--seed", "1")
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	d := new(demo)
	read := make(chan struct{})
	listening := make(chan string, 1)
	metrics := regexp.MustCompile(`metrics +http://([^/]+)/metrics`)
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := metrics.FindStringSubmatch(lines.Text()); m != nil {
				listening <- m[1]
			}
			if strings.Contains(lines.Text(), "→ sent") {
				d.mu.Lock()
				d.batches++
				d.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		<-read
		require.NoError(t, c.Wait())
	})
	eventually(t, "listening", func() bool {
		select {
		case d.private = <-listening:
			return true
		case <-read:
			require.FailNow(t, "the demo ended unexpectedly")
		default:
		}
		return false
	})
	return d
}
