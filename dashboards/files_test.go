package dashboards

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain writes the generated files before the tests read them, if DLRLOOP_UPDATE is set.
func TestMain(m *testing.M) {
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		if err := writeFiles(); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func writeFiles() error {
	made, err := Files()
	if err != nil {
		return err
	}
	for name, text := range made {
		var f file
		if err := errors.Join(
			json.Unmarshal(text, &f),
			os.MkdirAll("testdata", 0o755),
			os.WriteFile(name, text, 0o644),
			os.WriteFile(layoutFile(f.UID), []byte(sketch(f)), 0o644),
		); err != nil {
			return err
		}
	}
	return nil
}

// The parts of a dashboard's JSON that the tests read, with Grafana's names. The tests check the files, not the Go
// code that generates them.
type (
	file struct {
		UID           string
		Title         string
		Description   string
		Tags          []string
		Time          struct{ From, To string }
		Refresh       string
		SchemaVersion int
		Editable      bool
		Panels        []drawn
		Templating    struct{ List []variable }
		Annotations   struct{ List []annotation }
		Links         []link
	}
	drawn struct {
		ID          uint32
		Type        string
		Title       string
		Description string
		Repeat      string
		Datasource  struct{ Type, UID string }
		GridPos     struct{ X, Y, W, H int }
		Targets     []target
		Options     struct {
			Content string
			Legend  struct {
				ShowLegend, Show bool
			}
		}
		Transformations []struct{ ID string }
		FieldConfig     struct {
			Defaults  struct{ Unit string }
			Overrides []struct {
				Matcher    struct{ ID, Options string }
				Properties []struct {
					ID    string
					Value json.RawMessage
				}
			}
		}
	}
	target struct {
		Expr, LegendFormat, Format, RefID string
		Instant                           bool
		Datasource                        struct{ Type, UID string }
	}
	variable struct {
		Name, Type, Query, AllValue string
		Multi, IncludeAll           bool
		Datasource                  struct{ Type, UID string }
	}
	annotation struct {
		Name   string
		Target target
	}
	link struct {
		Type, URL, Placement  string
		Tags                  []string
		IncludeVars, KeepTime bool
	}
)

// readFiles returns the committed dashboards by uid.
func readFiles(t *testing.T) map[string]file {
	t.Helper()
	files := make(map[string]file)
	for _, name := range names(t) {
		var f file
		require.NoError(t, json.Unmarshal(read(t, name), &f), name)
		require.Equal(t, strings.TrimSuffix(name, ".json"), f.UID, "the file name must be the uid")
		files[f.UID] = f
	}
	return files
}

func names(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.json")
	require.NoError(t, err)
	return found
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return text
}

// eachPanel calls visit for every panel that is not a heading.
func eachPanel(t *testing.T, visit func(t *testing.T, f file, p drawn)) {
	t.Helper()
	for uid, f := range readFiles(t) {
		t.Run(uid, func(t *testing.T) {
			for _, p := range f.Panels {
				if p.Type != "row" {
					visit(t, f, p)
				}
			}
		})
	}
}

func TestFilesAreUpToDate(t *testing.T) {
	made, err := Files()
	require.NoError(t, err)
	require.Len(t, names(t), len(made), "every JSON file in the directory must be generated")
	for name, text := range made {
		require.Equal(t, string(text), string(read(t, name)), "out of date; run: DLRLOOP_UPDATE=1 go test ./...")
	}
}

func TestUIDsAreStable(t *testing.T) {
	uids := []string{}
	for uid := range readFiles(t) {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	require.Equal(t, []string{
		"dlrloop-campaigns", "dlrloop-destinations", "dlrloop-feedback", "dlrloop-overview", "dlrloop-store",
	}, uids,
		"uids must not change, since bookmarks and links contain them")
}

func TestFilesMatchGrafanasSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for _, name := range names(t) {
		var d dashboard.Dashboard
		require.NoError(t, d.UnmarshalJSONStrict(read(t, name)), name)
		require.NoError(t, d.Validate(), name)
	}
}

func TestDashboardsHaveTheSameDefaults(t *testing.T) {
	for uid, f := range readFiles(t) {
		for _, l := range f.Links {
			assert.Empty(t, l.Placement, "%s: links must not be hidden in a menu", uid)
		}
		assert.NotEmpty(t, f.Title, uid)
		assert.NotEmpty(t, f.Description, uid)
		assert.GreaterOrEqual(t, f.SchemaVersion, 39, uid)
		assert.Equal(t, "now-6h", f.Time.From, uid)
		assert.Equal(t, "now", f.Time.To, uid)
		assert.Equal(t, "30s", f.Refresh, uid)
		assert.Contains(t, f.Tags, "dlrloop", uid)
		assert.True(t, slices.ContainsFunc(f.Links, func(l link) bool {
			return l.Type == "dashboards" && slices.Contains(l.Tags, "dlrloop") && l.IncludeVars && l.KeepTime
		}), "%s must link to the other dashboards and keep variables and time range", uid)
		assert.True(t, slices.ContainsFunc(f.Links, func(l link) bool {
			return l.URL == "https://github.com/dlrloop/dlrloop/blob/main/docs/runbook.md"
		}), "%s must link to the runbook", uid)
	}
}

func TestVariables(t *testing.T) {
	for uid, f := range readFiles(t) {
		byName := make(map[string]variable)
		for _, v := range f.Templating.List {
			byName[v.Name] = v
		}
		assert.Equal(t, "datasource", byName["datasource"].Type, uid)
		assert.Equal(t, "prometheus", byName["datasource"].Query, uid)
		assert.False(t, byName["job"].Multi || byName["job"].IncludeAll,
			"%s: only one job may be chosen, since max over the gauges of two stores is meaningless", uid)
		offered := []string{"instance"}
		if uid != "dlrloop-store" && uid != "dlrloop-destinations" {
			offered = append(offered, "plan")
		}
		require.Len(t, f.Templating.List, len(offered)+2, uid)
		for _, name := range offered {
			v := byName[name]
			assert.True(t, v.Multi && v.IncludeAll && v.AllValue == ".*", "%s: %s", uid, name)
			assert.Contains(t, v.Query, `{job=~"$job"}, `+name+`)`, uid)
		}
		for _, name := range append(offered, "job") {
			assert.Equal(t, "${datasource}", byName[name].Datasource.UID, "%s: %s", uid, name)
		}
	}
}

func TestOverviewDescribesGoodFigures(t *testing.T) {
	overview := readFiles(t)["dlrloop-overview"]
	i := slices.IndexFunc(overview.Panels, func(p drawn) bool { return p.Type == "text" })
	require.GreaterOrEqual(t, i, 0)
	require.Contains(t, overview.Panels[i].Options.Content,
		"https://github.com/dlrloop/dlrloop/blob/main/docs/runbook.md")
	require.Equal(t, "What good looks like", overview.Panels[i].Title)
	for _, word := range []string{
		"Lossy answers are 0", "stored", "Delivered share", "Missing reports", "Oldest due",
		"dead", "circuits",
	} {
		require.Contains(t, overview.Panels[i].Options.Content, word)
	}
}
