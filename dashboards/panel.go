package dashboards

import (
	"fmt"
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// panel describes one panel of a Grafana dashboard: its texts, its size, its queries, and how values are displayed. If
// an optional field is zero, the panel uses Grafana's default or leaves this part out.
type panel struct {
	title       string
	description string // what the panel shows, and what a good value is
	unit        string // Grafana's name of the unit of all values
	width       uint32 // in columns of the grid, of 24
	height      uint32 // in rows of the grid
	kind        kind
	queries     []query
	colors      palette               // by series name
	thresholds  []dashboard.Threshold // colors of the value, in ascending order
	meanings    []meaning             // texts for single values
	max         float64               // upper limit of the axis; 0: automatic
	whole       bool                  // show without decimals, since an increase is an estimate
	repeat      string                // variable; the panel is repeated for each of its values
	text        string                // content of a text panel
}

// kind builds a Grafana panel of one kind, such as a graph or a table, from its description. The method panel.draw adds
// what all kinds have in common, such as title and queries.
type kind func(panel) (dashboard.Panel, error)

// meaning is the text and the color that a panel shows in place of a number: for example "closed" in green for 0.
type meaning struct {
	value int
	text  string
	color string
}

func (p panel) draw() (dashboard.Panel, error) {
	drawn, err := p.kind(p)
	if err != nil {
		return dashboard.Panel{}, fmt.Errorf("panel %q: %w", p.title, err)
	}
	drawn.Title, drawn.Description = new(p.title), new(p.description)
	if p.repeat != "" {
		drawn.Repeat, drawn.MaxPerRow = new(p.repeat), new(float64(columns/p.width))
	}
	if len(p.queries) == 0 {
		return drawn, nil
	}
	drawn.Datasource = new(source())
	if drawn.Targets, err = p.targets(drawn.Type); err != nil {
		return dashboard.Panel{}, fmt.Errorf("panel %q: %w", p.title, err)
	}
	if drawn.FieldConfig == nil {
		drawn.FieldConfig = new(dashboard.FieldConfigSource)
	}
	p.fields(&drawn.FieldConfig.Defaults, drawn.Type)
	drawn.FieldConfig.Overrides = append(p.colors.overrides(), drawn.FieldConfig.Overrides...)
	return drawn, nil
}

// fields sets in f how Grafana displays the values of the panel: unit, limits, colors and texts. An override for a
// series takes precedence over f. drawnAs is Grafana's name for the panel type, such as stat.
func (p panel) fields(f *dashboard.FieldConfig, drawnAs string) {
	f.Unit, f.Min = new(p.unit), new(0.0)
	if p.max != 0 {
		f.Max = new(p.max)
	}
	if p.whole {
		f.Decimals = new(0.0)
	}
	f.NoValue = new("nothing yet")
	f.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassicByName}
	if drawnAs == "stat" { // a figure without thresholds is neutral
		f.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: new("text")}
	}
	if len(p.thresholds) > 0 {
		f.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}
		f.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: p.thresholds}
	}
	if len(p.meanings) > 0 {
		texts := make(map[string]dashboard.ValueMappingResult, len(p.meanings))
		for i, m := range p.meanings {
			texts[strconv.Itoa(m.value)] = dashboard.ValueMappingResult{
				Text: new(m.text), Color: new(m.color),
				Index: new(int32(i)),
			}
		}
		f.Mappings = []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{
			Type:    dashboard.MappingTypeValueToText,
			Options: texts,
		}}}
	}
}

// targets returns the panel's queries for Grafana, with the ids A, B, C and so on. drawnAs is Grafana's name for the
// panel type, such as table, which determines the format of the results.
func (p panel) targets(drawnAs string) ([]variants.Dataquery, error) {
	targets := make([]variants.Dataquery, len(p.queries))
	for i, q := range p.queries {
		b := prometheus.NewDataqueryBuilder().
			Datasource(source()).
			Expr(expand(q.expr)).
			LegendFormat(q.legend).
			RefId(refID(i))
		switch {
		case drawnAs == "table":
			b = b.Format(prometheus.PromQueryFormatTable).Instant()
		case drawnAs == "heatmap":
			b = b.Format(prometheus.PromQueryFormatHeatmap).Range()
		case q.overWholeRange():
			b = b.Format(prometheus.PromQueryFormatTimeSeries).Instant()
		default:
			b = b.Format(prometheus.PromQueryFormatTimeSeries).Range()
		}
		var err error
		if targets[i], err = b.Build(); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

func refID(i int) string { return string(rune('A' + i)) }

// sized sets the size of each panel in columns and rows of the grid, and the kind of each panel that has none. It
// changes panels and returns the same slice.
func sized(panels []panel, k kind, width, height uint32) []panel {
	for i := range panels {
		panels[i].width, panels[i].height = width, height
		if panels[i].kind == nil {
			panels[i].kind = k
		}
	}
	return panels
}
