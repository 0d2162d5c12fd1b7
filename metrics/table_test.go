package metrics_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

const preamble = `# Metrics

<!-- Generated from the code: DLRLOOP_UPDATE=1 go test ./metrics -->

dlrloop exports these at ` + "`/metrics`" + ` of its private listener, together with the usual
` + "`go_*` and `process_*`" + ` series.

- Every label has a closed set of values. A value that Sinch adds later counts as ` + "`other`" + `,
  and so does a plan that is no longer configured.
- Known values exist at zero from the start, so that a rate includes the first increment. There are exceptions:
  of ` + "`messages_total`" + ` only the documented pairs of status and code class exist at zero, and the three
  results of a country and ` + "`plan=\"other\"`" + ` exist once they are used.
- Histograms have classic buckets, and are also exported as native histograms to a Prometheus that scrapes those.
- A scrape reads figures that the store keeps in memory, so its cost does not depend on the size of the store.
- A replica has at most **%d + %d per plan** of these series, including each bucket of a histogram, whatever Sinch
  or other callers send. %d of them belong to the %d countries that have series of their own, and %d of each plan's
  are messages by status and code class. With ` + "`go_*` and `process_*`" + ` (about fifty) that is under 1,000 for
  five plans; a test creates all of them. Plans that are no longer configured but still have batches count as one more
  plan, ` + "`other`" + `. Each destination adds %d series, and all destinations together share one histogram.

| name | type | labels | help |
|---|---|---|---|
`

const valuesHead = `
## Label values

| name | label | values |
|---|---|---|
`

func TestTableInTheDocumentationMatchesTheExport(t *testing.T) {
	r := prometheus.NewRegistry()
	m := metrics.New(r, metrics.Config{Plans: []string{"p"}, Version: "1.2.3", Destinations: []string{"app"}})
	m.Store(func() store.Gauges { return store.Gauges{Replica: "a"} })
	certificates(m)

	var table, values strings.Builder
	one, two := registryWithAllSeries(t, 1), registryWithAllSeries(t, 2)
	each := countSeries(t, two, ours) - countSeries(t, one, ours)
	messages := func(line string) bool { return strings.HasPrefix(line, "dlrloop_messages_total{") }
	countries := countSeries(t, one, func(line string) bool {
		return strings.HasPrefix(line, "dlrloop_route_messages_total{")
	})
	fmt.Fprintf(&table, preamble,
		countSeries(t, one, ours)-each, each, countries, countries/3-1, countSeries(t, one, messages),
		countSeries(t, r, func(line string) bool { return strings.Contains(line, `destination="app"`) }))
	for _, f := range gather(t, r) {
		names := make([]string, 0, 3)
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, "`"+l.GetName()+"`")
			if !slices.Contains([]string{"plan", "destination", "version", "goversion", "replica"}, l.GetName()) {
				fmt.Fprintf(&values, "| `%s` | `%s` | %s |\n",
					f.GetName(), l.GetName(), strings.Join(valuesOf(f, l.GetName()), ", "))
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n",
			f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(names, ", "), f.GetHelp())
	}
	table.WriteString(valuesHead + values.String())
	file := filepath.Join("..", "docs", "metrics.md")
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(table.String()), 0o644))
	}
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, table.String(), string(written), "to regenerate: DLRLOOP_UPDATE=1 go test ./metrics")
}

// valuesOf returns the values that a label has from the start, sorted.
func valuesOf(f *dto.MetricFamily, label string) []string {
	var values []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				values = append(values, l.GetValue())
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
