package deploy_test

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const replicasFile = "compose-replicas.yaml"

// replica holds the members of the replicas' configuration that the tests compare.
type replica struct {
	Public  struct{ URL string }
	Private struct {
		Listen      string
		Credentials struct {
			Basic []struct{ Username, Password string }
		}
	}
	Gateway struct{ Listen string }
	Store   struct {
		URLFile  string `yaml:"url_file"`
		PoolSize int    `yaml:"pool_size"`
		Migrate  bool
	}
	Plans []struct {
		ID, Token string
		Webhook   struct {
			Auth struct{ HMAC struct{ Secrets []string } }
		}
	}
}

// replicas returns the names of the replicas in compose-replicas.yaml.
func replicas(t *testing.T) []string {
	t.Helper()
	services := load(t, replicasFile).Services
	other := func(name string) bool { return !strings.HasPrefix(name, "dlrloop-") }
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(services)), other)
	require.Len(t, names, 3)
	return names
}

func replicasConfig(t *testing.T) replica {
	t.Helper()
	config := replica{}
	config.Store.PoolSize = 12 // the default
	read(t, "compose/replica.yaml", &config)
	return config
}

// TestReplicasShareConfiguration requires that all replicas, and the service that migrates their schema, use the same
// valid configuration.
func TestReplicasShareConfiguration(t *testing.T) {
	c := load(t, replicasFile)
	for _, name := range append(replicas(t), "migrate") {
		s := c.Services[name]
		assert.Equal(t, map[string]string{"./compose/replica.yaml": "/config.yaml"}, mounts(s), name)
		assert.Equal(t, []string{"postgres-url"}, s.Secrets, name)
		if name != "migrate" {
			assert.Equal(t, map[string]string{"DLRLOOP_REPLICA": name}, s.Environment)
			assert.Contains(t, s.DependsOn, "migrate")
		}
	}
	config := replicasConfig(t)
	assert.False(t, config.Store.Migrate, "the service migrate does it")
	assert.Equal(t, "/run/secrets/postgres-url", config.Store.URLFile)
	t.Setenv("DLRLOOP_STORE_URL_FILE", c.Secrets["postgres-url"].File)
	output, err := dlrloop(t, "check", "compose/replica.yaml")
	require.NoError(t, err, output)
	require.Contains(t, output, "store    postgres at postgres:5432/dlrloop as dlrloop, sslmode disable; "+
		"up to 12 connections; a start leaves the schema to `dlrloop migrate`")
	require.Contains(t, output, "plan example-plan")
}

// TestReplicasSecretsMatch requires that services which call each other have matching secrets and addresses.
func TestReplicasSecretsMatch(t *testing.T) {
	c, config := load(t, replicasFile), replicasConfig(t)
	postgres := c.Services["postgres"]
	database, err := url.Parse(secretFile(t, c, "postgres-url"))
	require.NoError(t, err)
	password, _ := database.User.Password()
	assert.Equal(t, secretFile(t, c, "postgres-password"), password)
	assert.Equal(t, "postgres:5432", database.Host)
	assert.Equal(t, map[string]string{
		"POSTGRES_USER": database.User.Username(), "POSTGRES_DB": strings.Trim(database.Path, "/"),
		"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres-password",
	}, postgres.Environment)
	most, err := strconv.Atoi(strings.TrimPrefix(postgres.Command[2], "max_connections="))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, most, 3*config.Store.PoolSize+10, "connections of all replicas, of migrate and of people")

	var prometheus struct {
		ScrapeConfigs []struct {
			BasicAuth     struct{ Username, Password string } `yaml:"basic_auth"`
			StaticConfigs []struct{ Targets []string }        `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "compose/prometheus-replicas.yml", &prometheus)
	job := prometheus.ScrapeConfigs[0]
	assert.Equal(t, config.Private.Credentials.Basic[0], job.BasicAuth)
	var private, public, gateways []string
	for _, name := range replicas(t) {
		private = append(private, name+config.Private.Listen)
		public = append(public, name+":8080")
		gateways = append(gateways, name+config.Gateway.Listen)
	}
	assert.Equal(t, private, job.StaticConfigs[0].Targets)
	assert.Equal(t, public, upstream(t, "webhooks"))
	assert.Equal(t, gateways, upstream(t, "gateways"))

	plan := config.Plans[0]
	assert.Equal(t, "http://nginx:8080", config.Public.URL)
	assert.Subset(t, c.Services["sinch"].Command, []string{
		"--plan=" + plan.ID, "--token=" + plan.Token, "--secret=" + plan.Webhook.Auth.HMAC.Secrets[0],
		"--callback=" + config.Public.URL + "/webhooks/" + plan.ID,
	})
	assert.Equal(t, map[string]string{"GATEWAY": "http://nginx:8082/xms/v1/" + plan.ID, "TOKEN": plan.Token},
		c.Services["sender"].Environment)
	assert.Equal(t, "./compose/prometheus-replicas.yml:/etc/prometheus/prometheus.yml:ro",
		mountAt(c.Services["prometheus"], "/etc/prometheus/prometheus.yml"))
}

// upstream returns the addresses of an upstream in nginx's configuration.
func upstream(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("compose/nginx.conf")
	require.NoError(t, err)
	block := regexp.MustCompile(`(?s)upstream ` + name + ` \{(.*?)\}`).FindStringSubmatch(string(text))
	require.NotNil(t, block)
	var addresses []string
	for _, found := range regexp.MustCompile(`server (\S+)`).FindAllStringSubmatch(block[1], -1) {
		addresses = append(addresses, found[1])
	}
	return addresses
}

func mountAt(s service, target string) string {
	for _, v := range s.Volumes {
		if strings.Contains(v, ":"+target) {
			return v
		}
	}
	return fmt.Sprintf("nothing at %s", target)
}

// TestExtendedServicesDependOnNothingElse requires the tag !override, without which Docker would add the dependencies
// of the extended service.
func TestExtendedServicesDependOnNothingElse(t *testing.T) {
	var c composed
	read(t, replicasFile, &c)
	both := 0
	for _, s := range c.Services {
		if s.Extends.File != "" && s.DependsOn != nil {
			require.NotEmpty(t, load(t, s.Extends.File).Services[s.Extends.Service].DependsOn)
			both++
		}
	}
	text, err := os.ReadFile(replicasFile)
	require.NoError(t, err)
	require.Equal(t, 1, both)
	require.Equal(t, both, strings.Count(string(text), "depends_on: !override\n"))
}
