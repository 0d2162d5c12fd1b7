package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// prometheus is a real Prometheus with the repository's rules. It scrapes one dlrloop every second.
type prometheus struct {
	t      *testing.T
	origin string
}

// nativeHistograms is the feature in whose presence Prometheus takes dlrloop's native histograms, and not the classic ones.
const nativeHistograms = "native-histograms"

// ruleFiles are the rules as committed.
var ruleFiles = []string{"recording.yaml", "alerts.yaml"}

// intervals are the paces of single groups of rules. Without them all go at that of the test.
var intervals = regexp.MustCompile(`(?m)^ +interval: .*\n`)

// startPrometheus starts one with these features, which scrapes a private listener. The test is skipped where there is none.
func startPrometheus(t *testing.T, private string, features ...string) *prometheus {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	folder := t.TempDir()
	for _, file := range ruleFiles {
		rules, err := os.ReadFile(filepath.Join("..", "dashboards", file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, file), intervals.ReplaceAll(rules, nil), 0o600))
	}
	config := filepath.Join(folder, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: dlrloop
    static_configs: [{targets: [%q]}]
`, strings.Join(ruleFiles, ", "), private), 0o600))

	address := newHost(t).address(prometheusPort)
	c := exec.Command(binary, "--config.file", config, "--storage.tsdb.path", filepath.Join(folder, "data"),
		"--web.listen-address", address, "--log.level", "error", "--enable-feature", strings.Join(features, ","))
	c.Stderr = os.Stderr
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, <-ended)
	})
	p := &prometheus{t: t, origin: "http://" + address}
	eventually(t, "ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			require.FailNow(t, "prometheus ended by itself", "%v", err)
		default:
		}
		answer, err := http.Get(p.origin + "/-/ready")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// sample is one element of an answer.
type sample struct {
	labels map[string]string
	value  float64
}

// query evaluates an expression now. What is not a number is left out: a panel shows nothing for it.
func (p *prometheus) query(expr string) (samples []sample) {
	p.t.Helper()
	var answer struct {
		ResultType string
		Result     json.RawMessage
	}
	p.post("/api/v1/query", url.Values{"query": {expr}}, &answer)
	var vector []struct {
		Metric map[string]string
		Value  [2]any
	}
	if answer.ResultType == "scalar" {
		vector = make([]struct {
			Metric map[string]string
			Value  [2]any
		}, 1)
		require.NoError(p.t, json.Unmarshal(answer.Result, &vector[0].Value))
	} else {
		require.Equal(p.t, "vector", answer.ResultType, expr)
		require.NoError(p.t, json.Unmarshal(answer.Result, &vector), expr)
	}
	for _, v := range vector {
		text, ok := v.Value[1].(string)
		require.True(p.t, ok, "%s answers a histogram, not a number", expr)
		number, err := strconv.ParseFloat(text, 64)
		require.NoError(p.t, err)
		if !math.IsNaN(number) {
			samples = append(samples, sample{v.Metric, number})
		}
	}
	return samples
}

// number is the answer to an expression that has one, and 0 while it has none.
func (p *prometheus) number(expr string) float64 {
	p.t.Helper()
	samples := p.query(expr)
	if len(samples) == 0 {
		return 0
	}
	require.Len(p.t, samples, 1, expr)
	return samples[0].value
}

// by is the answer to an expression, by one label, without zeros.
func (p *prometheus) by(label, expr string) map[string]int {
	p.t.Helper()
	numbers := map[string]int{}
	for _, s := range p.query(expr) {
		if s.value != 0 {
			numbers[s.labels[label]] += int(s.value)
		}
	}
	return numbers
}

// rule is one rule and how its last evaluation went.
type rule struct {
	Name, Type, Query string
	Health            string // unknown before the first evaluation
	LastError         string
}

func (p *prometheus) rules() (all []rule) {
	p.t.Helper()
	var answer struct{ Groups []struct{ Rules []rule } }
	p.post("/api/v1/rules", nil, &answer)
	for _, g := range answer.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// scrapedSince says whether a scrape began after that moment and succeeded.
func (p *prometheus) scrapedSince(moment time.Time) bool {
	return p.number(`timestamp(up{job="dlrloop"}) and up{job="dlrloop"} == 1`) > float64(moment.UnixMilli())/1000
}

// post asks the API. The rules are only to be got.
func (p *prometheus) post(path string, form url.Values, data any) {
	p.t.Helper()
	var answer *http.Response
	var err error
	if form == nil {
		answer, err = http.Get(p.origin + path)
	} else {
		answer, err = http.PostForm(p.origin+path, form)
	}
	require.NoError(p.t, err)
	defer answer.Body.Close()
	var said struct {
		Status, Error string
		Data          json.RawMessage
	}
	require.NoError(p.t, json.NewDecoder(answer.Body).Decode(&said))
	require.Equal(p.t, "success", said.Status, "%s: %s", form.Get("query"), said.Error)
	require.NoError(p.t, json.Unmarshal(said.Data, data))
}
