package dashboards

import (
	"fmt"
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// panel is one panel of a dashboard.
type panel struct {
	title       string
	description string // what it shows, and what good looks like
	unit        string // a unit's name in Grafana
	width       uint32 // of 24
	height      uint32
	kind        kind
	queries     []query
	colours     palette               // by the name of a series
	thresholds  []dashboard.Threshold // colours by value
	meanings    []meaning             // of single values
	max         float64               // of the axis; 0: as the values are
	whole       bool                  // an increase is an estimate: shown without decimals
	repeat      string                // the variable for each value of which the panel is repeated
	text        string                // of a panel that has words alone
}

// kind draws what is particular to a kind of panel. Panel.draw adds what all have.
type kind func(panel) (dashboard.Panel, error)

// meaning is what a value stands for.
type meaning struct {
	value  int
	text   string
	colour string
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
	drawn.FieldConfig.Overrides = append(p.colours.overrides(), drawn.FieldConfig.Overrides...)
	return drawn, nil
}

// fields sets what holds for every series of the panel.
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
	if drawnAs == "stat" { // a figure that is neither good nor bad
		f.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: new("text")}
	}
	if len(p.thresholds) > 0 {
		f.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}
		f.Thresholds = &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: p.thresholds}
	}
	if len(p.meanings) > 0 {
		texts := make(map[string]dashboard.ValueMappingResult, len(p.meanings))
		for i, m := range p.meanings {
			texts[strconv.Itoa(m.value)] = dashboard.ValueMappingResult{Text: new(m.text), Color: new(m.colour), Index: new(int32(i))}
		}
		f.Mappings = []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: texts}}}
	}
}

// targets are the panel's queries, named A, B, C and so on.
func (p panel) targets(drawnAs string) ([]variants.Dataquery, error) {
	targets := make([]variants.Dataquery, len(p.queries))
	for i, q := range p.queries {
		b := prometheus.NewDataqueryBuilder().Datasource(source()).Expr(expand(q.expr)).LegendFormat(q.legend).RefId(refID(i))
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

// sized gives all panels one size, and a kind to those that have none.
func sized(panels []panel, k kind, width, height uint32) []panel {
	for i := range panels {
		panels[i].width, panels[i].height = width, height
		if panels[i].kind == nil {
			panels[i].kind = k
		}
	}
	return panels
}
