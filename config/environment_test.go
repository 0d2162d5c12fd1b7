package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVariablesOverrideTheFile(t *testing.T) {
	c, err := load(t, minimal+"log: {level: debug}\npublic: {listen: \":1\", trusted_proxies: [10.0.0.1]}\n",
		"DLRLOOP_LOG_LEVEL=warn", "DLRLOOP_LOG_FORMAT=", "DLRLOOP_PUBLIC_SHED_WITH_429=1",
		"DLRLOOP_PUBLIC_TRUSTED_PROXIES=10.0.0.2, 10.0.0.3",
		"DLRLOOP_PUBLIC_MAX_BODY=1MiB", "DLRLOOP_PLANS_0_TOKEN=from=env", "DLRLOOP_PLANS_0_FEEDBACK_RATE=2.5",
		"DLRLOOP_PLANS_0_FEEDBACK_WORKERS=9",
		"DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=with,comma", "PATH=/bin", "DLRLOOPX=1", "NOVALUE")
	require.NoError(t, err)
	require.Equal(t, "warn", c.Log.Level)
	require.Equal(t, FormatAuto, c.Log.Format, "an empty variable counts as not set")
	require.Equal(t, ":1", c.Public.Listen)
	require.True(t, c.Public.ShedWith429)
	require.Equal(t, []string{"10.0.0.2", "10.0.0.3"}, c.Public.TrustedProxies)
	require.Equal(t, ByteSize(1<<20), c.Public.MaxBody)
	require.Equal(t, Secret("from=env"), c.Plans[0].Token)
	require.Equal(t, 2.5, c.Plans[0].Feedback.Rate)
	require.Equal(t, 9, c.Plans[0].Feedback.Workers)
	require.Equal(t, []Secret{"with,comma"}, c.Plans[0].Webhook.Auth.HMAC.Secrets)
}

func TestVariablesAppendListEntries(t *testing.T) {
	c, err := load(t, minimal,
		"DLRLOOP_PLANS_1_ID=plan-b", "DLRLOOP_PLANS_1_REGION=us", "DLRLOOP_PLANS_1_TOKEN=tok-b",
		"DLRLOOP_PLANS_1_WEBHOOK_AUTH_BASIC_0_USERNAME=u", "DLRLOOP_PLANS_1_WEBHOOK_AUTH_BASIC_0_PASSWORD=p",
		"DLRLOOP_PLANS_1_WEBHOOK_AUTH_BASIC_1_USERNAME=v", "DLRLOOP_PLANS_1_WEBHOOK_AUTH_BASIC_1_PASSWORD=q",
		`DLRLOOP_PRIVATE_CREDENTIALS_TOKENS=["one", "two,three"]`)
	require.NoError(t, err)
	require.Len(t, c.Plans, 2)
	require.Equal(t, []Basic{{Username: "u", Password: "p"}, {Username: "v", Password: "q"}},
		c.Plans[1].Webhook.Auth.Basic)
	require.Equal(t, DefaultPlan().Feedback, c.Plans[1].Feedback)
	require.Equal(t, []Secret{"one", "two,three"}, c.Private.Credentials.Tokens)
}

// TestVariablesReplaceTheAlternativeInTheFile checks that a variable removes the key of the file that excludes it. So
// one image can run in several environments.
func TestVariablesReplaceTheAlternativeInTheFile(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"token":       "tok-file",
		"config.yaml": planWith(region, "token_file: gone", anyCaller),
	})
	path := filepath.Join(dir, "config.yaml")
	c, err := Load(path, []string{"DLRLOOP_PLANS_0_TOKEN=tok-env", "DLRLOOP_PLANS_0_BASE_URL=http://127.0.0.1:9200"})
	require.NoError(t, err)
	require.Equal(t, Secret("tok-env"), c.Plans[0].Token)
	require.Equal(t, "http://127.0.0.1:9200", c.Plans[0].BaseURL)
	require.Empty(t, c.Plans[0].Region)

	require.NoError(t, os.WriteFile(path, []byte(planWith("base_url: http://127.0.0.1", "token: in-the-file", anyCaller)),
		0o600))
	c, err = Load(path, []string{"DLRLOOP_PLANS_0_TOKEN_FILE=" + filepath.Join(dir, "token"), "DLRLOOP_PLANS_0_REGION=us"})
	require.NoError(t, err)
	require.Equal(t, Secret("tok-file"), c.Plans[0].Token)
	require.Equal(t, "us", c.Plans[0].Region)
	require.Empty(t, c.Plans[0].BaseURL)

	c, err = Load(path, []string{
		"DLRLOOP_PLANS_0_PROJECT_ID=p", "DLRLOOP_PLANS_0_PROJECT_KEY_ID=k",
		"DLRLOOP_PLANS_0_PROJECT_KEY_SECRET=s",
	})
	require.NoError(t, err)
	require.Empty(t, c.Plans[0].Token)
	require.Equal(t, Project{ID: "p", KeyID: "k", KeySecret: "s"}, c.Plans[0].Project)

	require.NoError(t, os.WriteFile(path, []byte(planWith(region, "project: {id: p, key_id: k, key_secret: s}",
		anyCaller)), 0o600))
	c, err = Load(path, []string{"DLRLOOP_PLANS_0_TOKEN=t"})
	require.NoError(t, err)
	require.Equal(t, Secret("t"), c.Plans[0].Token)
	require.False(t, c.Plans[0].Project.Used())
}

func TestInvalidVariablesAreRejected(t *testing.T) {
	for variable, want := range map[string]string{
		"DLRLOOP_LOG_LEVL=info": "$DLRLOOP_LOG_LEVL: unknown variable; did you mean DLRLOOP_LOG_LEVEL?",
		"DLRLOOP_FOO=1": "$DLRLOOP_FOO: unknown variable; docs/configuration.md lists all, and " +
			"list entries are numbered from 0 without gaps",
		"DLRLOOP_PLANS_1_TOKEN=x": "$DLRLOOP_PLANS_1_TOKEN: plans[1]: there is no such plan: plans are " +
			"numbered from 0, and plans[1] has no id; correct the number, or also set $DLRLOOP_PLANS_1_ID",
		"DLRLOOP_PUBLIC=1": "$DLRLOOP_PUBLIC: unknown variable; docs/configuration.md lists all, " +
			"and list entries are numbered from 0 without gaps",
		"DLRLOOP_LOG_LEVEL=loud": `$DLRLOOP_LOG_LEVEL: log.level: "loud" is not a valid value; use debug, ` +
			`info, warn or error`,
		"DLRLOOP_SHUTDOWN_DELAY=1": `$DLRLOOP_SHUTDOWN_DELAY: shutdown_delay: "1" is not a duration; write ` +
			`a number with a unit, such as 500ms, 10s, 5m, 12h or 30d`,
		"DLRLOOP_PUBLIC_TRUSTED_PROXIES=[a": `$DLRLOOP_PUBLIC_TRUSTED_PROXIES: public.trusted_proxies: is not a YAML ` +
			`list; write ["first", "second"]`,
		"DLRLOOP_PUBLIC_TRUSTED_PROXIES=a": `$DLRLOOP_PUBLIC_TRUSTED_PROXIES: public.trusted_proxies[0]: "a" is ` +
			`neither an IP address nor a network; write 10.0.0.7 or 10.0.0.0/8`,
		"DLRLOOP_PLANS_0_TOKEN_FILE=gone": "$DLRLOOP_PLANS_0_TOKEN_FILE: plans[0].token_file: gone: there is no " +
			"such file; put the secret there, or name another file",
	} {
		_, err := load(t, minimal, variable)
		require.EqualError(t, err, want)
	}
}

// TestServiceLinksAreIgnored has the variables that Kubernetes sets in every container for a service named dlrloop.
func TestServiceLinksAreIgnored(t *testing.T) {
	_, err := load(t, minimal, "DLRLOOP_SERVICE_HOST=10.0.0.1", "DLRLOOP_SERVICE_PORT=80",
		"DLRLOOP_SERVICE_PORT_PUBLIC=80", "DLRLOOP_PORT=tcp://10.0.0.1:80",
		"DLRLOOP_PORT_80_TCP=tcp://10.0.0.1:80", "DLRLOOP_PORT_80_TCP_PROTO=tcp", "DLRLOOP_PORT_80_TCP_PORT=80",
		"DLRLOOP_PORT_80_TCP_ADDR=10.0.0.1",
		"DLRLOOP_PRIVATE_SERVICE_HOST=10.0.0.2", "DLRLOOP_PRIVATE_PORT_8081_TCP=tcp://10.0.0.2:8081",
		"DLRLOOP_TEST_POSTGRES=x", "DLRLOOP_LONG=1")
	require.NoError(t, err)
}

func TestVariableNames(t *testing.T) {
	l := newLoader([]string{"DLRLOOP_PLANS_0_ID=x", "DLRLOOP_PLANS_0_WEBHOOK_AUTH_BASIC_0_USERNAME=x"})
	known := make(map[string]bool)
	l.override("", reflect.ValueOf(l.config).Elem(), known)
	for name := range maps.Keys(known) {
		require.Regexp(t, `^DLRLOOP(_[A-Z0-9]+)+$`, name)
		require.False(t, isServiceLink(name), name)
	}
	require.Contains(t, known, "DLRLOOP_PLANS_0_WEBHOOK_AUTH_BASIC_0_PASSWORD_FILE")
	require.Contains(t, known, "DLRLOOP_PUBLIC_SHED_WITH_429")
	require.NotContains(t, known, "DLRLOOP_CONFIG")
}
