package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// lines builds a graph panel with one line for each series.
func lines(p panel) (dashboard.Panel, error) { return graph(p).FillOpacity(8).Build() }

// stacked builds a graph panel of stacked series. Use it only if the sum of the series is meaningful.
func stacked(p panel) (dashboard.Panel, error) {
	return graph(p).
		FillOpacity(60).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A")).
		Build()
}

func graph(p panel) *timeseries.PanelBuilder {
	return timeseries.NewPanelBuilder().
		DrawStyle(common.GraphDrawStyleLine).
		LineWidth(1).
		ShowPoints(common.VisibilityModeAuto). // makes a single value between gaps visible
		Legend(legend(p)).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).
			Sort(common.SortOrderDescending))
}

// legend returns the legend of a graph panel: a table with mean and maximum beside the graph if the panel has at least
// half of the dashboard's width, else a list below it.
func legend(p panel) *common.VizLegendOptionsBuilder {
	l := common.NewVizLegendOptionsBuilder().ShowLegend(true)
	if p.width < columns/2 {
		return l.DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).Calcs([]string{})
	}
	return l.DisplayMode(common.LegendDisplayModeTable).Placement(common.LegendPlacementRight).Calcs([]string{
		"mean",
		"max",
	})
}

// figure builds a panel with one big number, the last value of the query. If the query returns values over time, their
// curve is drawn behind the number.
func figure(p panel) (dashboard.Panel, error) { return big(p, common.BigValueTextModeAuto).Build() }

// namedFigure builds a panel with one big number for each series, next to the name of the series.
func namedFigure(p panel) (dashboard.Panel, error) {
	return big(p, common.BigValueTextModeValueAndName).Build()
}

func big(p panel, mode common.BigValueTextMode) *stat.PanelBuilder {
	curve := common.BigValueGraphModeArea
	if p.queries[0].overWholeRange() || mode == common.BigValueTextModeValueAndName {
		curve = common.BigValueGraphModeNone
	}
	return stat.NewPanelBuilder().
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		ColorMode(common.BigValueColorModeValue).
		GraphMode(curve).
		TextMode(mode).
		JustifyMode(common.BigValueJustifyModeAuto).
		Orientation(common.VizOrientationAuto)
}

// states builds a timeline panel with one colored band for each series. The field meanings of the panel gives the text
// and the color of each value.
func states(panel) (dashboard.Panel, error) {
	return statetimeline.NewPanelBuilder().
		ShowValue(common.VisibilityModeNever).
		MergeValues(true).
		RowHeight(.8).
		FillOpacity(80).
		Legend(common.NewVizLegendOptionsBuilder().
			ShowLegend(true).
			DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).
			Calcs([]string{})).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle).Sort(common.SortOrderNone)).
		Build()
}

// heat builds a heat map panel of a classic Prometheus histogram. The x-axis shows the time, the y-axis the buckets,
// and the color the number of observations.
func heat(p panel) (dashboard.Panel, error) {
	return heatmap.NewPanelBuilder().
		Calculate(false). // the data are already histogram buckets
		Color(heatmap.NewHeatmapColorOptionsBuilder().
			Mode(heatmap.HeatmapColorModeScheme).
			Scheme("Viridis").
			Scale(heatmap.HeatmapColorScaleExponential).
			Exponent(.5).
			Steps(64)).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.unit).AxisPlacement(common.AxisPlacementLeft)).
		CellGap(1).
		FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		ShowValue(common.VisibilityModeNever).
		ShowLegend().
		Tooltip(heatmap.NewHeatmapTooltipBuilder().
			Mode(common.TooltipDisplayModeSingle).
			YHistogram(true).
			ShowColorScale(true)).
		Build()
}

// countries builds a table panel with a row for each value of the label country and a column for each query of p. The
// rows are sorted by the last column in descending order.
func countries(p panel) (dashboard.Panel, error) {
	names := map[string]string{"country": "Country"}
	for i, q := range p.queries {
		names["Value #"+refID(i)] = q.legend
	}
	drawn, err := table.NewPanelBuilder().
		ShowHeader(true).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true},
			"renameByName":  names,
		}}).
		SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName(p.queries[len(p.queries)-1].legend).Desc(true),
		}).
		Build()
	if err != nil {
		return dashboard.Panel{}, err
	}
	drawn.FieldConfig = &dashboard.FieldConfigSource{Overrides: []dashboard.DashboardFieldConfigSourceOverrides{
		bar(columnDelivered), bar(columnUnknown), override(columnMessages,
			dashboard.DynamicConfigValue{Id: "decimals", Value: 0}),
	}}
	return drawn, nil
}

// The column headings of the table that the function countries builds. Each heading is the legend of one of the table's
// queries.
const (
	columnDelivered = "Delivered"
	columnUnknown   = "Unknown"
	columnMessages  = "Messages"
)

// bar returns a Grafana field override that draws the cells of a table column as bars from 0 to 100 %. The column must
// be named after a message status, whose color the bars get.
func bar(column string) dashboard.DashboardFieldConfigSourceOverrides {
	return override(column,
		dashboard.DynamicConfigValue{Id: "unit", Value: units.PercentUnit},
		dashboard.DynamicConfigValue{Id: "max", Value: 1},
		dashboard.DynamicConfigValue{Id: "color", Value: fixed(statusColors()[column])},
		dashboard.DynamicConfigValue{
			Id:    "custom.cellOptions",
			Value: map[string]string{"type": "gauge", "mode": "basic"},
		},
	)
}

// markdown builds a panel that shows a text, p.text in Markdown, instead of values.
func markdown(p panel) (dashboard.Panel, error) {
	return text.NewPanelBuilder().Mode(text.TextModeMarkdown).Content(p.text).Build()
}
