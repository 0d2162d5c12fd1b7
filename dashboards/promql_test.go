package dashboards

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Durations that replace Grafana's intervals before parsing. They are used nowhere else, so that tests recognize
// them.
const (
	parsedStep  = 7 * time.Minute
	parsedRange = 11 * time.Minute
)

func parse(t *testing.T, expr string) parser.Expr {
	t.Helper()
	filled := strings.NewReplacer(
		"$__rate_interval", "7m", "$__range", "11m", "$job", "JOB", "$instance", "INSTANCE", "$plan", "PLAN",
	).Replace(expr)
	require.NotContains(t, filled, "$", "only known variables may be used")
	require.NotRegexp(t, `<[a-z]`, filled, "all placeholders must be expanded")
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(filled)
	require.NoError(t, err, expr)
	return parsed
}

// eachQuery calls visit for every query of every panel and annotation.
func eachQuery(t *testing.T, visit func(t *testing.T, panel string, q target)) {
	t.Helper()
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		for _, q := range p.Targets {
			visit(t, p.Title, q)
		}
	})
	for uid, f := range readFiles(t) {
		require.NotEmpty(t, f.Annotations.List, uid)
		for _, a := range f.Annotations.List {
			visit(t, a.Name, a.Target)
		}
	}
}

// eachNode calls visit for every node of an expression, with its ancestors, outermost first.
func eachNode(t *testing.T, expr string, visit func(n parser.Node, in []parser.Node)) {
	t.Helper()
	parser.Inspect(parse(t, expr), func(n parser.Node, in []parser.Node) error {
		if n != nil {
			visit(n, in)
		}
		return nil
	})
}

func selectors(t *testing.T, expr string) []*parser.VectorSelector {
	t.Helper()
	var all []*parser.VectorSelector
	eachNode(t, expr, func(n parser.Node, _ []parser.Node) {
		if s, is := n.(*parser.VectorSelector); is {
			all = append(all, s)
		}
	})
	return all
}

// admits reports whether a selector matches series whose label has the given value.
func admits(t *testing.T, s *parser.VectorSelector, label, value string) bool {
	t.Helper()
	return !slices.ContainsFunc(s.LabelMatchers,
		func(m *labels.Matcher) bool { return m.Name == label && !m.Matches(value) })
}

// metric is the entry of a metric in docs/metrics.md.
type metric struct {
	kind   string
	labels []string
	max    bool                // all replicas export the same value
	values map[string][]string // values by label, for closed sets
}

// documentedMetrics reads docs/metrics.md, which is generated from the code.
func documentedMetrics(t *testing.T) map[string]metric {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	all := make(map[string]metric)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name := strings.Trim(cells[0], "`")
		switch {
		case !strings.HasPrefix(cells[0], "`dlrloop_"):
		case len(cells) == 4:
			all[name] = metric{
				kind: cells[1], labels: regexp.MustCompile(`\w+`).FindAllString(cells[2], -1),
				max: strings.Contains(cells[3], "aggregate with max"), values: make(map[string][]string),
			}
		case len(cells) == 3:
			require.Contains(t, all, name)
			all[name].values[strings.Trim(cells[1], "`")] = strings.Split(cells[2], ", ")
		}
	}
	require.Greater(t, len(all), 30)
	return all
}

// base returns a metric's name without the suffix of a histogram series.
func base(series string) string {
	return regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(series, "")
}

func TestQueriesUseExistingMetrics(t *testing.T) {
	documented, named := documentedMetrics(t), make(map[string]bool)
	eachQuery(t, func(t *testing.T, panel string, q target) {
		for _, s := range selectors(t, q.Expr) {
			if s.Name == "up" || strings.HasPrefix(s.Name, "go_") || strings.HasPrefix(s.Name, "process_") {
				continue
			}
			name := s.Name
			if documented[base(s.Name)].kind == "histogram" {
				name = base(s.Name)
				assert.NotEqual(t, name, s.Name, "%s: a classic histogram is queried by its _bucket, _count or _sum",
					panel)
			}
			assert.Contains(t, documented, name, panel)
			named[name] = true
			for _, m := range s.LabelMatchers {
				known := append([]string{"__name__", "job", "instance", "le"}, documented[name].labels...)
				assert.Contains(t, known, m.Name, "%s: %s", panel, s)
				assertDocumented(t, documented[name], m, panel)
			}
		}
	})
	for name := range documented {
		assert.True(t, named[name], "no panel shows %s", name)
	}
	for uid, f := range readFiles(t) {
		for _, v := range f.Templating.List {
			if found := regexp.MustCompile(`^label_values\((\w+)`).FindStringSubmatch(v.Query); found != nil {
				assert.Contains(t, documented, found[1], "%s: %s", uid, v.Name)
			}
		}
	}
}

// assertDocumented checks that each value in a matcher is one of the label's documented values.
func assertDocumented(t *testing.T, of metric, m *labels.Matcher, panel string) {
	t.Helper()
	values := of.values[m.Name]
	if len(values) == 0 || slices.Contains([]string{"JOB", "INSTANCE", "PLAN"}, m.Value) {
		return
	}
	for value := range strings.SplitSeq(m.Value, "|") {
		assert.Contains(t, values, value, "%s: %s", panel, m)
	}
}

func TestQueriesUseTheVariables(t *testing.T) {
	documented := documentedMetrics(t)
	eachQuery(t, func(t *testing.T, panel string, q target) {
		for _, s := range selectors(t, q.Expr) {
			chosen := map[string]string{"job": "JOB", "instance": "INSTANCE"}
			if slices.Contains(documented[base(s.Name)].labels, "plan") || slices.Contains(documented[s.Name].labels,
				"plan") {
				chosen["plan"] = "PLAN"
			}
			for label, value := range chosen {
				assert.True(t, slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
					return m.Name == label && m.Value == value && m.Type == labels.MatchRegexp
				}), "%s: %s needs %s=~%q", panel, s, label, "$"+label)
			}
		}
	})
}

func TestRatesAreTakenOverTheRateInterval(t *testing.T) {
	eachQuery(t, func(t *testing.T, panel string, q target) {
		ranged := false
		eachNode(t, q.Expr, func(n parser.Node, in []parser.Node) {
			matrix, is := n.(*parser.MatrixSelector)
			if !is {
				return
			}
			call := in[len(in)-1].(*parser.Call)
			pinned := matrix.VectorSelector.(*parser.VectorSelector).StartOrEnd != 0
			switch {
			case call.Func.Name == "rate" || call.Func.Name == "irate":
				assert.Equal(t, parsedStep, matrix.Range, panel)
			case pinned:
				assert.Equal(t, parsedRange, matrix.Range, panel)
			default:
				assert.Contains(t, []time.Duration{parsedStep, parsedRange}, matrix.Range, panel)
				ranged = ranged || matrix.Range == parsedRange
			}
		})
		assert.Equal(t, ranged || q.Format == "table", q.Instant,
			"%s: a query over the whole range must be an instant query", panel)
	})
}

func TestQueriesNeverGiveNaN(t *testing.T) {
	eachQuery(t, func(t *testing.T, panel string, q target) {
		eachNode(t, q.Expr, func(n parser.Node, in []parser.Node) {
			switch n := n.(type) {
			case *parser.BinaryExpr:
				if n.Op == parser.DIV {
					assert.True(t, above(n.RHS, parser.GTR), "%s: the divisor may be 0: %s", panel, n.RHS)
				}
			case *parser.Call:
				if n.Func.Name == "histogram_quantile" {
					require.NotEmpty(t, in, panel)
					guard, is := in[len(in)-1].(*parser.BinaryExpr)
					assert.True(t, is && above(guard, parser.GTE), "%s: a quantile without observations is NaN", panel)
				}
			}
		})
	})
}

// above reports whether an expression drops all values that are not above zero (GTR) or are below zero (GTE).
func above(e parser.Expr, op parser.ItemType) bool {
	if p, is := e.(*parser.ParenExpr); is {
		e = p.Expr
	}
	guard, is := e.(*parser.BinaryExpr)
	if !is || guard.Op != op || guard.ReturnBool {
		return false
	}
	zero, is := guard.RHS.(*parser.NumberLiteral)
	return is && zero.Val == 0
}

func TestAggregationOverReplicas(t *testing.T) {
	documented, checked := documentedMetrics(t), 0
	eachQuery(t, func(t *testing.T, panel string, q target) {
		eachNode(t, q.Expr, func(n parser.Node, in []parser.Node) {
			s, is := n.(*parser.VectorSelector)
			if !is || !strings.HasPrefix(s.Name, "dlrloop_") {
				return
			}
			of, found := documented[s.Name]
			if !found {
				of = documented[base(s.Name)]
			}
			switch op := nearest(in); {
			case of.max:
				assert.Equal(t, parser.ItemType(parser.MAX), op, "%s: every replica exports the same %s, so use max",
					panel, s.Name)
			case of.kind == "counter" || of.kind == "histogram":
				assert.Equal(t, parser.ItemType(parser.SUM), op,
					"%s: every replica exports its own part of %s, so use sum", panel, s.Name)
			}
			checked++
		})
	})
	require.Greater(t, checked, 100)
}

// nearest returns the operator of the innermost aggregation around a node, or 0.
func nearest(in []parser.Node) parser.ItemType {
	for _, n := range slices.Backward(in) {
		if a, is := n.(*parser.AggregateExpr); is {
			return a.Op
		}
	}
	return 0
}

func TestLegendsUseRemainingLabels(t *testing.T) {
	label := regexp.MustCompile(`{{(\w+)}}`)
	eachQuery(t, func(t *testing.T, panel string, q target) {
		var left []string
		aggregated := false
		eachNode(t, q.Expr, func(n parser.Node, in []parser.Node) {
			if a, is := n.(*parser.AggregateExpr); is && nearest(in) == 0 {
				aggregated = true
				left = append(left, a.Grouping...)
			}
		})
		if !aggregated {
			left = []string{"job", "instance"}
		}
		for _, found := range label.FindAllStringSubmatch(q.LegendFormat, -1) {
			assert.Contains(t, left, found[1], "%s: %s", panel, q.Expr)
		}
	})
}
