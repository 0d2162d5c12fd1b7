package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const preamble = `# Metrics

<!-- Made from the code: go test ./metrics -run TestTable -update -->

dlrloop exports these at ` + "`/metrics`" + ` of its private listener, together with the usual ` + "`go_*` and `process_*`" + ` series.

- Every label has a closed set of values. What Sinch invents tomorrow, and a plan that is not configured any more, counts as ` + "`other`" + `.
- Known values are there at zero from the start, so a rate sees the first event. Exceptions: of ` + "`messages_total`" + ` only the usual
  pairs of status and code class are there at zero, and a country's three results and ` + "`plan=\"other\"`" + ` are there once they are used.
- Histograms have classic buckets, and native ones for a Prometheus that scrapes them.
- A scrape reads figures that the store keeps at hand; it costs the same whatever the store holds.
- A replica has at most **%d + %d for each plan** of these series, each bucket of a histogram counted, whatever Sinch or a
  stranger sends: %d of them are of the %d countries that have series of their own, and of a plan's %d are messages by status and
  code class. With ` + "`go_*` and `process_*`" + ` (some fifty) that is under 1,000 for five plans; a test fills them all. Plans that are not
  configured any more and still have batches are one more plan, ` + "`other`" + `.

| name | type | labels | help |
|---|---|---|---|
`

const valuesHead = `
## Label values

| name | label | values |
|---|---|---|
`

func TestTableInTheDocumentationIsWhatIsExported(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Store(func() store.Gauges { return store.Gauges{Replica: "a"} })
	certificates(m)

	var table, values strings.Builder
	one, two := worst(t, 1), worst(t, 2)
	each := seriesOf(t, two, ours) - seriesOf(t, one, ours)
	messages := func(line string) bool { return strings.HasPrefix(line, "dlrloop_messages_total{") }
	countries := seriesOf(t, one, func(line string) bool { return strings.HasPrefix(line, "dlrloop_route_messages_total{") })
	fmt.Fprintf(&table, preamble, seriesOf(t, one, ours)-each, each, countries, countries/3-1, seriesOf(t, one, messages))
	for _, f := range gather(t, r) {
		names := make([]string, 0, 3)
		for _, l := range f.GetMetric()[0].GetLabel() {
			names = append(names, "`"+l.GetName()+"`")
			if !slices.Contains([]string{"plan", "version", "goversion", "replica"}, l.GetName()) {
				fmt.Fprintf(&values, "| `%s` | `%s` | %s |\n", f.GetName(), l.GetName(), strings.Join(valuesOf(f, l.GetName()), ", "))
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(names, ", "), f.GetHelp())
	}
	table.WriteString(valuesHead + values.String())
	file := filepath.Join("..", "docs", "metrics.md")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(table.String()), 0o644))
	}
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, table.String(), string(written), "write it anew: go test ./metrics -run TestTable -update")
}

// valuesOf are the values that a label has from the start, sorted.
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
