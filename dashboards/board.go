package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

const (
	tag     = "dlrloop" // of every dashboard; the links between dashboards select by it
	docs    = "https://github.com/dlrloop/dlrloop/blob/main/docs/"
	runbook = docs + "runbook.md"
)

// board describes one Grafana dashboard: its title, and its panels in sections. The method build turns it into
// Grafana's JSON model.
type board struct {
	uid         string // also the file name; must never change, since links and bookmarks contain it
	title       string
	description string
	byPlan      bool // let the user choose plans
	sections    []section
}

// section is a group of panels under one heading of a dashboard. On the grid, the panels are placed in the order of the
// field panels.
type section struct {
	title  string
	panels []panel
}

func boards() []board { return []board{overview(), feedback(), destinations(), campaigns(), store()} }

// Files returns the JSON of every Grafana dashboard of dlrloop. The keys are file names, such as dlrloop-overview.json.
// The caller owns the map.
func Files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, b := range boards() {
		d, err := b.build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.uid, err)
		}
		if files[b.uid+".json"], err = encode(d); err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.uid, err)
		}
	}
	return files, nil
}

// encode returns a dashboard as indented JSON. It does not escape < > &, so that people can read the PromQL queries.
func encode(d dashboard.Dashboard) ([]byte, error) {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	text = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text)))
	return append(bytes.TrimSpace(text), '\n'), nil
}

func (b board) build() (dashboard.Dashboard, error) {
	d, err := dashboard.NewDashboardBuilder(b.title).
		Uid(b.uid).
		Description(b.description).
		Tags([]string{tag}).
		Timezone("browser").
		Time("now-6h", "now").
		Refresh("30s").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Link(dashboard.NewDashboardLinkBuilder("dlrloop").
			Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{tag}).
			Tooltip("The other dashboards, with the same plans and time range").
			IncludeVars(true).
			KeepTime(true)).
		Link(dashboard.NewDashboardLinkBuilder("Runbook").
			Type(dashboard.DashboardLinkTypeLink).
			Url(runbook).
			Icon("doc").
			Tooltip("What each alert means and what to do").
			TargetBlank(true)).
		Annotation(starts()).
		Build()
	if err != nil {
		return dashboard.Dashboard{}, err
	}
	if d.Templating.List, err = b.variables(); err != nil {
		return dashboard.Dashboard{}, err
	}
	showControls(&d)
	d.Panels, err = b.place()
	return d, err
}

// showControls makes Grafana show the links and annotations of d at the top of the dashboard. By default Grafana's SDK
// hides them in a menu.
func showControls(d *dashboard.Dashboard) {
	for i := range d.Links {
		d.Links[i].Placement = nil
	}
	for i := range d.Annotations.List {
		d.Annotations.List[i].Placement = nil
	}
}

// starts returns an annotation that marks the restarts of dlrloop instances as vertical lines in every graph of a
// dashboard.
func starts() *dashboard.AnnotationQueryBuilder {
	return dashboard.NewAnnotationQueryBuilder().
		Name("Restarts").
		Datasource(source()).
		Enable(true).
		IconColor(orange).
		Target(prometheus.NewDataqueryBuilder().
			Datasource(source()).
			Expr(expand(restarts)).
			LegendFormat("{{instance}}").
			RefId("Restarts"))
}

// variables returns the Grafana variables of the dashboard: data source, job, instance and, if byPlan is set, plan.
// Users choose the values of these variables at the top of the dashboard. The queries contain the variables by name,
// such as $job.
func (b board) variables() ([]dashboard.VariableModel, error) {
	chosen := []cog.Builder[dashboard.VariableModel]{
		dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus"),
		ask("job", "Job", `label_values(dlrloop_build_info, job)`).Current(option("dlrloop", "dlrloop")),
		several("instance", "Instance", `label_values(dlrloop_build_info{job=~"$job"}, instance)`),
	}
	if b.byPlan {
		chosen = append(chosen, several("plan", "Plan", `label_values(dlrloop_callbacks_total{job=~"$job"}, plan)`))
	}
	models := make([]dashboard.VariableModel, len(chosen))
	for i, c := range chosen {
		var err error
		if models[i], err = c.Build(); err != nil {
			return nil, err
		}
	}
	return models, nil
}

func ask(name, label, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source()).
		Query(dashboard.StringOrMap{String: new(query)}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortNaturalAsc)
}

// several returns a dashboard variable for which the user can choose several values. The Grafana query lists the values
// to choose from. The default is All, which also includes values that appear later.
func several(name, label, query string) *dashboard.QueryVariableBuilder {
	return ask(name, label, query).Multi(true).IncludeAll(true).AllValue(".*").Current(option("All", "$__all"))
}

func option(text, value string) dashboard.VariableOption {
	return dashboard.VariableOption{
		Selected: new(true),
		Text:     dashboard.StringOrArrayOfString{String: new(text)},
		Value:    dashboard.StringOrArrayOfString{String: new(value)},
	}
}

// source returns a reference to the Prometheus data source that the user has chosen on the dashboard.
func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}
