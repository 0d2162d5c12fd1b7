package dashboards

import (
	"encoding/json"
	"io"
	"strings"
)

// Query is one PromQL query of a dashboard panel. Grafana's variables in it are replaced, so that Prometheus can
// evaluate it.
type Query struct {
	Dashboard  string `json:"dashboard"`
	Panel      string `json:"panel"`
	Expr       string `json:"expr"`
	MayBeEmpty bool   `json:"mayBeEmpty"` // an empty result is normal
}

// Queries returns every query of every dashboard, in the form that it has if the user has chosen all jobs, instances
// and plans. The caller owns the slice.
func Queries() []Query {
	var all []Query
	for _, b := range boards() {
		all = append(all, Query{Dashboard: b.uid, Panel: "Restarts", Expr: fill(restarts), MayBeEmpty: true})
		for _, s := range b.sections {
			for _, p := range s.panels {
				for _, q := range p.queries {
					all = append(all,
						Query{Dashboard: b.uid, Panel: p.title, Expr: fill(q.expr), MayBeEmpty: q.mayBeEmpty})
				}
			}
		}
	}
	return all
}

// WriteQueries writes the queries that the function Queries returns to out, one JSON object per line.
func WriteQueries(out io.Writer) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false) // people read the output
	for _, q := range Queries() {
		if err := lines.Encode(q); err != nil {
			return err
		}
	}
	return nil
}

// fill replaces the placeholders of this package, such as <plan>, and Grafana's variables in expr. The result is PromQL
// that Prometheus can evaluate.
func fill(expr string) string {
	return strings.NewReplacer(
		step, "1m", wholeRange, "5m", "$job", ".*", "$instance", ".*", "$plan", ".*",
	).Replace(expand(expr))
}
