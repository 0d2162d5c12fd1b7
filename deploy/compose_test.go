// Package deploy_test holds compose.yaml, and what it mounts, against the program and the rest of the repository. Whether Docker likes it
// is not proven here: there need not be one.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/cli"
)

// beDlrloop in the environment of this test's binary makes it dlrloop.
const beDlrloop = "DEPLOY_TEST_BE_DLRLOOP"

func TestMain(m *testing.M) {
	if os.Getenv(beDlrloop) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// dlrloop runs the program and returns what it says.
func dlrloop(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, arguments...)
	c.Env = append(os.Environ(), beDlrloop+"=1")
	said, err := c.CombinedOutput()
	return string(said), err
}

// composed is what is looked at of compose.yaml.
type composed struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	Command     []string
	Environment map[string]string
	Volumes     []string
	Ports       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
}

func load(t *testing.T) composed {
	t.Helper()
	var c composed
	read(t, "compose.yaml", &c)
	require.Len(t, c.Services, 5)
	return c
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

func TestServicesAreCareful(t *testing.T) {
	version := regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+\.\d+$`)
	root := regexp.MustCompile(`^0(:|$)`)
	c := load(t)
	for name, s := range c.Services {
		if s.Build == "" {
			assert.Regexp(t, version, s.Image, "image of %s", name)
		} else {
			assert.FileExists(t, filepath.Join(s.Build, "Dockerfile"), name)
		}
		assert.True(t, s.ReadOnly, "%s writes to its root", name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		assert.NotEmpty(t, s.User, name)
		assert.NotRegexp(t, root, s.User, name)
		assert.NotEmpty(t, s.Healthcheck.Test, "%s has no health check", name)
		for _, port := range s.Ports {
			assert.Regexp(t, `^127\.0\.0\.1:\d+:\d+$`, port, name)
		}
		for other := range s.DependsOn {
			assert.Contains(t, c.Services, other, name)
		}
	}
}

// TestMounts requires what is mounted to be there: Docker makes an empty folder of a file that is not.
func TestMounts(t *testing.T) {
	c := load(t)
	used := map[string]bool{}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source, rest, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(source, ".") {
				assert.Contains(t, c.Volumes, source, name)
				used[source] = true
				continue
			}
			assert.True(t, strings.HasSuffix(rest, ":ro"), "%s may write to %s", name, source)
			_, err := os.Stat(source)
			assert.NoError(t, err, name)
		}
	}
	assert.Len(t, used, len(c.Volumes), "a volume is used by nobody")
}

// TestPrometheusUnderstands has promtool check both configurations of Prometheus with their rules: the one for compose laid as it is mounted.
func TestPrometheusUnderstands(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	folder := t.TempDir()
	for source, target := range mounts(load(t).Services["prometheus"]) {
		text, err := os.ReadFile(source)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(folder, filepath.Dir(target)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, target), text, 0o600))
	}
	for _, config := range []string{"prometheus.yml", filepath.Join(folder, "etc", "prometheus", "prometheus.yml")} {
		said, err := exec.CommandContext(t.Context(), promtool, "check", "config", "--lint-fatal", config).CombinedOutput()
		assert.NoError(t, err, "%s", said)
		assert.Equal(t, 2, strings.Count(string(said), "rules found"), "%s", said)
	}
}

// TestPrometheusHasAllRules requires both configurations of Prometheus to read all rules there are.
func TestPrometheusHasAllRules(t *testing.T) {
	rules := []string{"alerts.yaml", "recording.yaml"}
	for _, path := range []string{"prometheus.yml", "compose/prometheus.yml"} {
		var p struct {
			RuleFiles     []string `yaml:"rule_files"`
			ScrapeConfigs []struct {
				JobName string `yaml:"job_name"`
			} `yaml:"scrape_configs"`
		}
		read(t, path, &p)
		var names []string
		for _, file := range p.RuleFiles {
			names = append(names, filepath.Base(file))
		}
		assert.ElementsMatch(t, rules, names, path)
		require.Len(t, p.ScrapeConfigs, 1, path)
		assert.Equal(t, "dlrloop", p.ScrapeConfigs[0].JobName, path)
	}
	for _, rule := range rules {
		assert.Contains(t, mounts(load(t).Services["prometheus"]), "../dashboards/"+rule)
	}
}

// TestGrafanaHasAllDashboards requires every dashboard to be mounted where Grafana is told to look for dashboards.
func TestGrafanaHasAllDashboards(t *testing.T) {
	dashboards, err := filepath.Glob("../dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, dashboards)
	var provisioned struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "grafana/dashboards/dlrloop.yaml", &provisioned)
	require.Len(t, provisioned.Providers, 1)
	folder := provisioned.Providers[0].Options.Path

	grafana := load(t).Services["grafana"]
	mounted := mounts(grafana)
	for _, d := range dashboards {
		assert.Equal(t, folder+"/"+filepath.Base(d), mounted[d])
		delete(mounted, d)
	}
	for source := range mounted {
		assert.NotContains(t, source, ".json", "mounted, and nobody's dashboard")
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	assert.Contains(t, dashboards, "../dashboards/"+filepath.Base(home))
	assert.Equal(t, folder, filepath.Dir(home))
}

// mounts maps what is mounted from the repository to where.
func mounts(s service) map[string]string {
	all := map[string]string{}
	for _, v := range s.Volumes {
		if parts := strings.Split(v, ":"); strings.HasPrefix(v, ".") {
			all[parts[0]] = parts[1]
		}
	}
	return all
}

func TestConfigurationIsRight(t *testing.T) {
	config := mounts(load(t).Services["dlrloop"])
	require.Equal(t, map[string]string{"./compose/dlrloop.yaml": "/config.yaml"}, config)
	said, err := dlrloop(t, "check", "compose/dlrloop.yaml")
	require.NoError(t, err, said)
	require.Contains(t, said, "plan example-plan")
}

// TestCommandsAreUnderstood gives the program the arguments it is given in compose.yaml, and --help after them: it refuses a flag that
// it does not have before it helps.
func TestCommandsAreUnderstood(t *testing.T) {
	_, err := dlrloop(t, "simulate", "--no-such-flag", "--help")
	require.Error(t, err, "this test cannot fail")
	for name, s := range load(t).Services {
		if s.Build == "" {
			continue
		}
		health := s.Healthcheck.Test
		require.Equal(t, []string{"CMD", "/dlrloop"}, health[:2], name)
		for _, arguments := range [][]string{s.Command, health[2:]} {
			said, err := dlrloop(t, append(slices.Clone(arguments), "--help")...)
			assert.NoError(t, err, "%s: %s", name, said)
		}
	}
}

// TestPrometheusHasTheFlags requires the arguments of Prometheus to be flags that it tells of.
func TestPrometheusHasTheFlags(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	help, err := exec.CommandContext(t.Context(), prometheus, "--help").CombinedOutput()
	require.NoError(t, err, "%s", help)
	command := load(t).Services["prometheus"].Command
	require.Contains(t, command, "--config.file="+mounts(load(t).Services["prometheus"])["./compose/prometheus.yml"])
	for _, argument := range command {
		flag, _, _ := strings.Cut(argument, "=")
		assert.Contains(t, string(help), flag+"=")
	}
}

// TestSecretsMeet requires those who talk to each other to have the same secrets.
func TestSecretsMeet(t *testing.T) {
	var dlrloop struct {
		Private struct {
			Credentials struct {
				Basic []struct{ Username, Password string }
			}
		}
		Plans []struct {
			ID, Token string
			Webhook   struct {
				Auth struct{ HMAC struct{ Secrets []string } }
			}
		}
	}
	read(t, "compose/dlrloop.yaml", &dlrloop)
	var prometheus struct {
		ScrapeConfigs []struct {
			BasicAuth struct{ Username, Password string } `yaml:"basic_auth"`
		} `yaml:"scrape_configs"`
	}
	read(t, "compose/prometheus.yml", &prometheus)
	assert.Equal(t, dlrloop.Private.Credentials.Basic[0], prometheus.ScrapeConfigs[0].BasicAuth)

	services, plan := load(t).Services, dlrloop.Plans[0]
	assert.Subset(t, services["sinch"].Command, []string{
		"--plan=" + plan.ID, "--token=" + plan.Token, "--secret=" + plan.Webhook.Auth.HMAC.Secrets[0],
		"--callback=http://dlrloop:8080/webhooks/" + plan.ID,
	})
	assert.Equal(t, map[string]string{"GATEWAY": "http://dlrloop:8081/xms/v1/" + plan.ID, "TOKEN": plan.Token}, services["sender"].Environment)
}
