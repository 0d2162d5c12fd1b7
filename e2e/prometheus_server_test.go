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

// prometheus is a real Prometheus with the rules of this repository. It scrapes one dlrloop every second.
type prometheus struct {
	t      *testing.T
	origin string
}

// nativeHistograms is the feature flag with which Prometheus scrapes native histograms instead of classic ones.
const nativeHistograms = "native-histograms"

// ruleFiles are the committed rule files.
var ruleFiles = []string{"recording.yaml", "alerts.yaml"}

// intervals matches the intervals of single rule groups. They are removed, so that all groups use the interval of the
// test.
var intervals = regexp.MustCompile(`(?m)^ +interval: .*\n`)

// startPrometheus starts a Prometheus with feature flags that scrapes a private listener. It skips the test if
// Prometheus is not installed.
func startPrometheus(t *testing.T, private string, features ...string) *prometheus {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	dir := t.TempDir()
	for _, file := range ruleFiles {
		rules, err := os.ReadFile(filepath.Join("..", "dashboards", file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), intervals.ReplaceAll(rules, nil), 0o600))
	}
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: dlrloop
    static_configs: [{targets: [%q]}]
`, strings.Join(ruleFiles, ", "), private), 0o600))

	address := newHost(t).address(prometheusPort)
	c := exec.Command(binary, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"),
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
			require.FailNow(t, "prometheus ended unexpectedly", "%v", err)
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

// sample is one element of a query result.
type sample struct {
	labels map[string]string
	value  float64
}

// query evaluates an expression at the present time. It omits NaN values, as a panel does.
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
		require.True(p.t, ok, "%s: the result is a histogram, not a number", expr)
		number, err := strconv.ParseFloat(text, 64)
		require.NoError(p.t, err)
		if !math.IsNaN(number) {
			samples = append(samples, sample{v.Metric, number})
		}
	}
	return samples
}

// number evaluates an expression with at most one sample, and returns 0 if there is none.
func (p *prometheus) number(expr string) float64 {
	p.t.Helper()
	samples := p.query(expr)
	if len(samples) == 0 {
		return 0
	}
	require.Len(p.t, samples, 1, expr)
	return samples[0].value
}

// by evaluates an expression and returns its non-zero values by one label.
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

// rule is a rule with the result of its last evaluation.
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

// scrapedSince reports whether a scrape started after moment and succeeded.
func (p *prometheus) scrapedSince(moment time.Time) bool {
	return p.number(`timestamp(up{job="dlrloop"}) and up{job="dlrloop"} == 1`) > float64(moment.UnixMilli())/1000
}

// post calls the API and decodes the answer's data. It uses GET if form is nil, since the rules support nothing else.
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
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	require.NoError(p.t, json.NewDecoder(answer.Body).Decode(&envelope))
	require.Equal(p.t, "success", envelope.Status, "%s: %s", form.Get("query"), envelope.Error)
	require.NoError(p.t, json.Unmarshal(envelope.Data, data))
}
