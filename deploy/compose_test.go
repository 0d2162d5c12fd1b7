// Package deploy_test compares the compose files, and the files that they mount, with the program and the rest of the
// repository. The tests do not run Docker.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/cli"
)

// beDlrloop is an environment variable. If it is set, the binary of this test runs the dlrloop command.
const beDlrloop = "DEPLOY_TEST_BE_DLRLOOP"

func TestMain(m *testing.M) {
	if os.Getenv(beDlrloop) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// dlrloop runs the program and returns its output.
func dlrloop(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, arguments...)
	// Without this setting, the race detector delays the end of the process by a second.
	c.Env = append(os.Environ(), beDlrloop+"=1", "GORACE=atexit_sleep_ms=0")
	output, err := c.CombinedOutput()
	return string(output), err
}

func TestServicesAreRestricted(t *testing.T) {
	version := regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+(\.\d+)?$`)
	root := regexp.MustCompile(`^0(:|$)`)
	for _, file := range files {
		c := load(t, file)
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
			assert.NotEqual(t, s.ends(), len(s.Healthcheck.Test) > 0, "%s has no health check, or ends", name)
			for _, port := range s.Ports {
				assert.Regexp(t, `^127\.0\.0\.1:\d+:\d+$`, port, name)
			}
			for other, on := range s.DependsOn {
				require.Contains(t, c.Services, other, name)
				completed := on.Condition == "service_completed_successfully"
				assert.Equal(t, c.Services[other].ends(), completed, "%s waits for %s", name, other)
			}
		}
	}
}

// TestPortsAreUnique requires that no two services publish the same port.
func TestPortsAreUnique(t *testing.T) {
	for _, file := range files {
		publisher := map[string]string{}
		for name, s := range load(t, file).Services {
			for _, port := range s.Ports {
				here := strings.Split(port, ":")[1]
				assert.Empty(t, publisher[here], "%s and %s publish port %s", name, publisher[here], here)
				publisher[here] = name
			}
		}
	}
}

// TestMounts requires every mounted file to exist: Docker creates an empty directory in place of a missing file.
func TestMounts(t *testing.T) {
	for _, file := range files {
		c := load(t, file)
		volumes, secrets := map[string]bool{}, map[string]bool{}
		for name, s := range c.Services {
			for _, v := range s.Volumes {
				source, rest, _ := strings.Cut(v, ":")
				if !strings.HasPrefix(source, ".") {
					assert.Contains(t, c.Volumes, source, name)
					volumes[source] = true
					continue
				}
				assert.True(t, strings.HasSuffix(rest, ":ro"), "%s may write to %s", name, source)
				_, err := os.Stat(source)
				assert.NoError(t, err, name)
			}
			for _, secret := range s.Secrets {
				assert.FileExists(t, c.Secrets[secret].File, "%s of %s", secret, name)
				secrets[secret] = true
			}
		}
		assert.Len(t, volumes, len(c.Volumes), "%s: a volume is unused", file)
		assert.Len(t, secrets, len(c.Secrets), "%s: a secret is unused", file)
	}
}

// TestPromtoolAcceptsConfigurations runs promtool on all configurations of Prometheus and their rules. The files for
// compose are copied to the paths at which they are mounted.
func TestPromtoolAcceptsConfigurations(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	configs := []string{"prometheus.yml"}
	for _, file := range files {
		dir := t.TempDir()
		for source, target := range mounts(load(t, file).Services["prometheus"]) {
			text, err := os.ReadFile(source)
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(target)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, target), text, 0o600))
		}
		configs = append(configs, filepath.Join(dir, "etc", "prometheus", "prometheus.yml"))
	}
	for _, config := range configs {
		output, err := exec.CommandContext(t.Context(), promtool, "check", "config", "--lint-fatal", config).CombinedOutput()
		assert.NoError(t, err, "%s", output)
		assert.Equal(t, 2, strings.Count(string(output), "rules found"), "%s", output)
	}
}

// TestPrometheusHasAllRules requires every configuration of Prometheus to load all rules.
func TestPrometheusHasAllRules(t *testing.T) {
	rules := []string{"alerts.yaml", "recording.yaml"}
	for _, path := range []string{"prometheus.yml", "compose/prometheus.yml", "compose/prometheus-replicas.yml"} {
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
		assert.Contains(t, mounts(load(t, "compose.yaml").Services["prometheus"]), "../dashboards/"+rule)
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
	dir := provisioned.Providers[0].Options.Path

	grafana := load(t, "compose.yaml").Services["grafana"]
	mounted := mounts(grafana)
	for _, d := range dashboards {
		assert.Equal(t, dir+"/"+filepath.Base(d), mounted[d])
		delete(mounted, d)
	}
	for source := range mounted {
		assert.NotContains(t, source, ".json", "a mounted dashboard does not exist")
	}
	home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	assert.Contains(t, dashboards, "../dashboards/"+filepath.Base(home))
	assert.Equal(t, dir, filepath.Dir(home))
}

func TestConfigurationIsRight(t *testing.T) {
	config := mounts(load(t, "compose.yaml").Services["dlrloop"])
	require.Equal(t, map[string]string{"./compose/dlrloop.yaml": "/config.yaml"}, config)
	output, err := dlrloop(t, "check", "compose/dlrloop.yaml")
	require.NoError(t, err, output)
	require.Contains(t, output, "plan example-plan")
}

// TestCommandsAreValid runs the program with the arguments of the compose files and --help. The program reports an
// unknown flag before it prints the help.
func TestCommandsAreValid(t *testing.T) {
	_, err := dlrloop(t, "simulate", "--no-such-flag", "--help")
	require.Error(t, err, "an unknown flag must be an error, or this test cannot fail")
	for _, file := range files {
		for name, s := range load(t, file).Services {
			if s.Build == "" {
				continue
			}
			commands := [][]string{s.Command}
			if health := s.Healthcheck.Test; !s.ends() {
				require.Equal(t, []string{"CMD", "/dlrloop"}, health[:2], name)
				commands = append(commands, health[2:])
			}
			for _, arguments := range commands {
				output, err := dlrloop(t, append(slices.Clone(arguments), "--help")...)
				assert.NoError(t, err, "%s: %s", name, output)
			}
		}
	}
}

// TestPrometheusHasTheFlags requires that the help of Prometheus lists the flags that compose sets.
func TestPrometheusHasTheFlags(t *testing.T) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed")
	}
	help, err := exec.CommandContext(t.Context(), prometheus, "--help").CombinedOutput()
	require.NoError(t, err, "%s", help)
	prometheusOf := load(t, "compose.yaml").Services["prometheus"]
	command := prometheusOf.Command
	require.Contains(t, command, "--config.file="+mounts(prometheusOf)["./compose/prometheus.yml"])
	for _, argument := range command {
		flag, _, _ := strings.Cut(argument, "=")
		assert.Contains(t, string(help), flag+"=")
	}
}

// TestSecretsMatch requires that services which call each other have the same secrets.
func TestSecretsMatch(t *testing.T) {
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

	services, plan := load(t, "compose.yaml").Services, dlrloop.Plans[0]
	assert.Subset(t, services["sinch"].Command, []string{
		"--plan=" + plan.ID, "--token=" + plan.Token, "--secret=" + plan.Webhook.Auth.HMAC.Secrets[0],
		"--callback=http://dlrloop:8080/webhooks/" + plan.ID,
	})
	assert.Equal(t, map[string]string{"GATEWAY": "http://dlrloop:8081/xms/v1/" + plan.ID, "TOKEN": plan.Token},
		services["sender"].Environment)
}
