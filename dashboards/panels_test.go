package dashboards

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPanelsHaveDescriptions(t *testing.T) {
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		assert.NotEmpty(t, p.Title)
		assert.Regexp(t, `^[A-Z0-9].{20,}\.$`, p.Description, p.Title)
		if p.Type == "text" {
			return
		}
		assert.Contains(t, []string{"s", "reqps", "ops", "percentunit", "bytes", "short"}, p.FieldConfig.Defaults.Unit,
			p.Title)
		assert.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for i, q := range p.Targets {
			assert.Equal(t, "${datasource}", q.Datasource.UID, p.Title)
			assert.Equal(t, string(rune('A'+i)), q.RefID, p.Title)
		}
	})
}

func TestRatesAndSharesHaveTheirUnits(t *testing.T) {
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		unit := p.FieldConfig.Defaults.Unit
		for _, q := range p.Targets {
			switch {
			case strings.HasPrefix(q.Expr, "histogram_quantile") && strings.Contains(q.Expr, "_seconds_bucket"):
				assert.Equal(t, "s", unit, p.Title)
			case strings.HasPrefix(q.Expr, "sum") && strings.Contains(q.Expr, "(rate(") && strings.Contains(q.Expr,
				"_total{") &&
				!strings.Contains(q.Expr, " / "):
				assert.Contains(t, []string{"reqps", "ops"}, unit, p.Title)
			case strings.Contains(q.Expr, "_bytes{") && !strings.Contains(q.Expr, " / "):
				assert.Equal(t, "bytes", unit, p.Title)
			}
		}
	})
}

func TestTitlesAndIDsAreUnique(t *testing.T) {
	for uid, f := range readFiles(t) {
		titles, ids := map[string]bool{}, map[uint32]bool{}
		for _, p := range f.Panels {
			assert.False(t, titles[p.Title], "%s has two panels %q", uid, p.Title)
			assert.False(t, ids[p.ID], "%s: duplicate id %d", uid, p.ID)
			titles[p.Title], ids[p.ID] = true, true
		}
	}
}

func TestGraphsHaveLegends(t *testing.T) {
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		switch p.Type {
		case "timeseries", "state-timeline", "heatmap":
			assert.True(t, p.Options.Legend.ShowLegend || p.Options.Legend.Show, p.Title)
			for _, q := range p.Targets {
				assert.NotEmpty(t, q.LegendFormat, p.Title)
			}
		}
	})
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for uid, f := range readFiles(t) {
		cells := make(map[[2]int]string)
		for _, p := range f.Panels {
			g := p.GridPos
			require.True(t, g.W > 0 && g.H > 0 && g.X >= 0 && g.X+g.W <= 24, "%s: %q is outside the grid: %+v", uid,
				p.Title, g)
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					require.Empty(t, cells[[2]int{x, y}], "%s: %q overlaps another panel", uid, p.Title)
					cells[[2]int{x, y}] = p.Title
				}
			}
		}
		for _, p := range f.Panels {
			if p.Type == "row" {
				assert.Equal(t, 24, p.GridPos.W, "%s: %s", uid, p.Title)
			}
		}
	}
}

func TestOnlyTheLastPanelIsRepeated(t *testing.T) {
	for uid, f := range readFiles(t) {
		for i, p := range f.Panels {
			if p.Repeat != "" {
				require.Equal(t, len(f.Panels)-1, i, "%s: a repeated panel must be last, since its height varies", uid)
				require.Equal(t, "plan", p.Repeat)
			}
		}
	}
}

func layoutFile(uid string) string { return filepath.Join("testdata", uid+".txt") }

// TestLayout compares the layouts with text files, in which a reviewer can see what a change moves.
func TestLayout(t *testing.T) {
	files := readFiles(t)
	for uid, f := range files {
		require.Equal(t, string(read(t, layoutFile(uid))), sketch(f), "out of date; run: DLRLOOP_UPDATE=1 go test ./...")
	}
	found, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.Len(t, found, len(files))
}

// sketch draws the panels of a dashboard as boxes. A grid column is five characters wide, a grid row is one line.
func sketch(f file) string {
	const width = 5
	bottom := 0
	for _, p := range f.Panels {
		bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
	}
	canvas := make([][]rune, bottom+1)
	for i := range canvas {
		canvas[i] = []rune(strings.Repeat(" ", 24*width+1))
	}
	write := func(x, y int, text string, room int) {
		for i, r := range []rune(text) {
			if i < room {
				canvas[y][x+i] = r
			}
		}
	}
	for _, p := range f.Panels {
		g := p.GridPos
		left, right := g.X*width, (g.X+g.W)*width
		if p.Type == "row" {
			write(left, g.Y, "=== "+p.Title+" "+strings.Repeat("=", 24*width), right-left+1)
			continue
		}
		for y := g.Y; y < g.Y+g.H; y++ {
			canvas[y][left], canvas[y][right] = '|', '|'
		}
		write(left, g.Y, "+"+strings.Repeat("-", right-left-1)+"+", right-left+1)
		write(left+2, g.Y+1, p.Title, right-left-3)
		write(left+2, g.Y+2, strings.TrimSpace(p.Type+" "+p.FieldConfig.Defaults.Unit), right-left-3)
		if p.Repeat != "" {
			write(left+2, g.Y+3, "for each "+p.Repeat, right-left-3)
		}
	}
	lines := []string{fmt.Sprintf("%s (%s)", f.Title, f.UID), ""}
	for _, l := range canvas {
		lines = append(lines, strings.TrimRight(string(l), " "))
	}
	return strings.TrimRight(strings.Join(slices.Clip(lines), "\n"), "\n") + "\n"
}
