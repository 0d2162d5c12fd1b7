package dashboards

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestQueriesMatchThePanels(t *testing.T) {
	made := make(map[string][]string)
	for _, q := range Queries() {
		_, err := parser.NewParser(parser.Options{}).ParseExpr(q.Expr)
		require.NoError(t, err, q.Expr)
		require.NotContains(t, q.Expr, "$")
		made[q.Dashboard+"/"+q.Panel] = append(made[q.Dashboard+"/"+q.Panel], q.Expr)
	}
	plain := strings.NewReplacer("$__rate_interval", "1m", "$__range", "5m", "$job", ".*", "$instance", ".*", "$plan",
		".*")
	panels := 0
	for uid, f := range readFiles(t) {
		for _, p := range f.Panels {
			if len(p.Targets) == 0 {
				continue
			}
			var want []string
			for _, q := range p.Targets {
				want = append(want, plain.Replace(q.Expr))
			}
			assert.Equal(t, want, made[uid+"/"+p.Title])
			panels++
		}
		assert.Len(t, made[uid+"/Restarts"], 1, uid)
	}
	require.Len(t, made, panels+len(boards()))
}

func TestWriteQueries(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, WriteQueries(&out))
	var read []Query
	for line := range strings.Lines(out.String()) {
		var q Query
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&q))
		read = append(read, q)
	}
	require.Equal(t, Queries(), read)
	require.Contains(t, out.String(), " > 0)", "the output must not be escaped for HTML")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriteQueriesReturnsWriteErrors(t *testing.T) {
	require.ErrorContains(t, WriteQueries(full{}), "no space left")
}
