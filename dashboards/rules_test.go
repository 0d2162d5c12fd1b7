package dashboards_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	alertsFile    = "alerts.yaml"
	recordingFile = "recording.yaml"
	runbookURL    = "https://github.com/dlrloop/dlrloop/blob/main/docs/runbook.md#"
)

// rule is one rule of a file. Alert or Record is its name.
type rule struct {
	Alert, Record, Expr string
	For                 string
	Labels, Annotations map[string]string
}

func rulesOf(t *testing.T, file string) (rules []rule) {
	t.Helper()
	var read struct {
		Groups []struct{ Rules []rule }
	}
	require.NoError(t, yaml.Unmarshal(contents(t, file), &read), file)
	for _, g := range read.Groups {
		rules = append(rules, g.Rules...)
	}
	require.NotEmpty(t, rules, file)
	return rules
}

func contents(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return b
}

func TestAlertsHaveTheirAnnotations(t *testing.T) {
	figure := regexp.MustCompile(`\{\{ \$value\b`)
	for _, a := range rulesOf(t, alertsFile) {
		t.Run(a.Alert, func(t *testing.T) {
			assert.Regexp(t, `^Dlrloop([A-Z][a-z]+)+$`, a.Alert)
			assert.Contains(t, []string{"page", "ticket"}, a.Labels["severity"])
			assert.Regexp(t, `^\d+[mh]$`, a.For, "for must be given, even if it is 0m")
			assert.Regexp(t, `^[^{}]+\.$`, a.Annotations["summary"],
				"the summary must be a static sentence, since alerts are grouped by it")
			assert.Equal(t, runbookURL+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
			if description := a.Annotations["description"]; strings.HasPrefix(a.Expr, "absent(") {
				assert.Regexp(t, `\d`, description) // the value of absent is always 1
			} else {
				assert.Regexp(t, figure, description)
			}
		})
	}
}

// section is the part of the runbook about one alert.
type section struct{ title, text string }

func runbook(t *testing.T) (sections []section) {
	t.Helper()
	for i, part := range strings.Split(string(contents(t, "..", "docs", "runbook.md")), "\n### ") {
		if i == 0 {
			continue
		}
		title, text, _ := strings.Cut(part, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections = append(sections, section{title, text})
	}
	return sections
}

var query = regexp.MustCompile("(?s)```promql\n(.*?)```")

// queries returns the PromQL in a section.
func (s section) queries() (promQL []string) {
	for _, block := range query.FindAllStringSubmatch(s.text, -1) {
		promQL = append(promQL, block[1])
	}
	return promQL
}

func TestRunbookHasASectionForEachAlert(t *testing.T) {
	sections, alerts := runbook(t), rulesOf(t, alertsFile)
	var titles, names []string
	for _, s := range sections {
		titles = append(titles, s.title)
	}
	for _, a := range alerts {
		names = append(names, a.Alert)
	}
	require.Equal(t, names, titles, "the runbook must have the same alerts in the same order")

	index, _, _ := strings.Cut(string(contents(t, "..", "docs", "runbook.md")), "\n### ")
	for i, a := range alerts {
		t.Run(a.Alert, func(t *testing.T) {
			assert.Contains(t, sections[i].text, "`severity: "+a.Labels["severity"]+"`")
			assert.Contains(t, index, "["+a.Alert+"](#"+strings.ToLower(a.Alert)+") | "+a.Labels["severity"]+" |")
			before := -1
			for _, part := range []string{"Meaning", "Lost?", "Diagnosis", "Mitigation", "Prevention"} {
				at := strings.Index(sections[i].text, "\n**"+part+"**")
				assert.Greater(t, at, before, "%s must be there, in this order", part)
				before = at
			}
		})
	}
}

// metric is the entry of a metric in docs/metrics.md.
type metric struct {
	histogram bool
	labels    []string
	values    map[string][]string // values by label, for closed sets
}

func exported(t *testing.T) map[string]metric {
	t.Helper()
	metrics := make(map[string]metric)
	names := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(contents(t, "..", "docs", "metrics.md"))) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `dlrloop_") || len(cells) < 3 {
			continue
		}
		name := strings.Trim(cells[0], "|` ")
		m, listed := metrics[name]
		if !listed {
			m.histogram, m.values = cells[1] == "histogram", make(map[string][]string)
			for _, label := range names.FindAllStringSubmatch(cells[2], -1) {
				m.labels = append(m.labels, label[1])
			}
		} else {
			m.values[strings.Trim(cells[1], "`")] = strings.Split(strings.Trim(cells[2], "| \n"), ", ")
		}
		metrics[name] = m
	}
	require.NotEmpty(t, metrics)
	return metrics
}

// find returns the metric of a series.
func find(metrics map[string]metric, series string) (metric, bool) {
	m, found := metrics[series]
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if of, cut := strings.CutSuffix(series, suffix); cut && !found {
			m, found = metrics[of]
			found = found && m.histogram
		}
	}
	return m, found
}

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?`)
	ranges   = regexp.MustCompile(`\[[^\]]*\]`)
	matcher  = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"([^"]*)"`)
)

// checkSelectors checks that every series and label in PromQL exists.
func checkSelectors(t *testing.T, metrics map[string]metric, recorded []string, promQL string) {
	t.Helper()
	for _, s := range selector.FindAllStringSubmatch(ranges.ReplaceAllString(promQL, ""), -1) {
		switch {
		case strings.Contains(s[1], ":"):
			assert.Contains(t, recorded, s[1], "the recording rule must exist")
			continue
		case !strings.HasPrefix(s[1], "dlrloop_"):
			continue // up, process_…, go_…, and the words of PromQL
		}
		m, found := find(metrics, s[1])
		if !assert.True(t, found, "docs/metrics.md has no %s", s[1]) {
			continue
		}
		for _, match := range matcher.FindAllStringSubmatch(s[2], -1) {
			if !slices.Contains([]string{"job", "instance"}, match[1]) {
				assert.Contains(t, m.labels, match[1], s[0])
			}
			if values, listed := m.values[match[1]]; listed {
				assert.Subset(t, values, strings.Split(match[2], "|"), s[0])
			}
		}
	}
}

func TestRulesAndRunbookUseExistingMetrics(t *testing.T) {
	metrics := exported(t)
	var recorded []string
	for _, r := range rulesOf(t, recordingFile) {
		recorded = append(recorded, r.Record)
	}
	for _, r := range append(rulesOf(t, recordingFile), rulesOf(t, alertsFile)...) {
		t.Run(r.Alert+r.Record, func(t *testing.T) { checkSelectors(t, metrics, recorded, r.Expr) })
	}
	for _, s := range runbook(t) {
		t.Run("runbook/"+s.title, func(t *testing.T) {
			for _, promQL := range s.queries() {
				checkSelectors(t, metrics, recorded, promQL)
			}
		})
	}
}

func ruleTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("rules*_test.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestEveryAlertIsTestedFiringAndSilent(t *testing.T) {
	firing, silent := make(map[string]bool), make(map[string]bool)
	for _, file := range ruleTests(t) {
		var read struct {
			Tests []struct {
				Cases []struct {
					Alert  string `yaml:"alertname"`
					Alerts []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		require.NoError(t, yaml.Unmarshal(contents(t, file), &read), file)
		for _, test := range read.Tests {
			for _, c := range test.Cases {
				firing[c.Alert] = firing[c.Alert] || len(c.Alerts) > 0
				silent[c.Alert] = silent[c.Alert] || len(c.Alerts) == 0
			}
		}
	}
	for _, a := range rulesOf(t, alertsFile) {
		assert.True(t, firing[a.Alert], "no test case in which %s fires", a.Alert)
		assert.True(t, silent[a.Alert], "no test case in which %s is silent", a.Alert)
		delete(firing, a.Alert)
	}
	assert.Empty(t, firing, "test cases name unknown alerts, which promtool takes for silent ones")
}

// TestPromtool checks the rules with promtool and runs their tests.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian: apt-get install --no-install-recommends prometheus)")
	}
	runs := [][]string{{"check", "rules", recordingFile, alertsFile}, {"check", "rules", queriesAsRules(t)}}
	for _, file := range ruleTests(t) {
		runs = append(runs, []string{"test", "rules", file})
	}
	for _, run := range runs {
		t.Run(run[0]+" "+filepath.Base(run[2]), func(t *testing.T) {
			t.Parallel()
			output, err := exec.CommandContext(t.Context(), promtool, run...).CombinedOutput()
			require.NoError(t, err, "%s", output)
		})
	}
}

// queriesAsRules writes the PromQL of the runbook as recording rules, so that promtool can check it.
func queriesAsRules(t *testing.T) (path string) {
	t.Helper()
	type record struct{ Record, Expr string }
	type group struct {
		Name  string
		Rules []record
	}
	var queries []record
	for _, s := range runbook(t) {
		for _, promQL := range s.queries() {
			queries = append(queries, record{fmt.Sprintf("%s:query:%d", s.title, len(queries)), promQL})
		}
	}
	require.NotEmpty(t, queries)
	file, err := yaml.Marshal(map[string][]group{"groups": {{"runbook", queries}}})
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "runbook.yaml")
	require.NoError(t, os.WriteFile(path, file, 0o600))
	return path
}
