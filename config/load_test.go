package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store"
)

// minimal is the smallest valid configuration. More lines can be appended to its plan.
const minimal = `plans:
  - id: plan-a
    region: eu
    token: tok-a
    webhook: {auth: {hmac: {secrets: [sec-a]}}}
`

// writeFiles creates these files in a temporary directory, readable by their owner only, and returns the directory.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

// load loads a configuration with this content.
func load(t *testing.T, content string, environ ...string) (*Config, error) {
	t.Helper()
	return Load(filepath.Join(writeFiles(t, map[string]string{"config.yaml": content}), "config.yaml"), environ)
}

func TestTheMinimalConfigurationHasOnlyAPlan(t *testing.T) {
	dir := writeFiles(t, map[string]string{"config.yaml": minimal})
	c, err := Load(filepath.Join(dir, "config.yaml"), nil)
	require.NoError(t, err)

	want := defaultHere()
	want.File = filepath.Join(dir, "config.yaml")
	want.Store.Path = filepath.Join(dir, "data")
	plan := DefaultPlan()
	plan.ID, plan.Region, plan.Token = "plan-a", "eu", "tok-a"
	plan.Webhook.Auth.HMAC.Secrets = []Secret{"sec-a"}
	want.Plans = []Plan{plan}
	require.Equal(t, want, c)
}

func TestEveryKeyIsRead(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"c/config.yaml": `
public:
  listen: 10.0.0.1:80
  url: https://dlr.acme.test/sinch/
  max_body: 1MiB
  memory: 64MiB
  shed_with_429: true
  max_connections: 100
  trusted_proxies: [10.0.0.7, 10.1.0.0/16]
private:
  listen: ":9000"
  credentials:
    basic:
      - {username: ada, password: pw-ada}
      - {username: ben, password_file: ../secrets/ben}
    tokens: [tok-1]
    token_files: [../secrets/tok-2]
gateway: {listen: "127.0.0.1:8082", defaults: true, max_body: 1MiB}
store: {driver: bolt, path: ../var, retention: 90d, size_limit: 50GiB}
replica: web-1.example
log: {level: debug, format: json}
shutdown_delay: 3s
shutdown_timeout: 1m
plans:
  - id: plan-a
    base_url: http://127.0.0.1:9200/
    project: {id: proj, key_id: key, key_secret_file: ../secrets/key}
    webhook:
      auth:
        hmac: {secrets: [sec-1], secret_files: [../secrets/sec-2], max_age: 48h}
        basic: [{username: sinch, password: pw-sinch}]
        header: {name: X-Hook, values: [hv-1], value_files: [../secrets/hv-2]}
        path_token: {values: [pt-1], value_files: [../secrets/pt-2]}
        on_failure: reject
    feedback:
      {on: off, batches: all, coalesce: 0s, workers: 8, rate: 0.5, give_up: 1d12h,
       backoff: {base: 2s, cap: 1m}, timeout: 5s}
    gateway: {token: plan}
    reconcile: {silence: 0s, grace: 5m, rate: 0.25}
  - id: plan-b
    region: us
    token_file: ../secrets/tok-b
    webhook: {auth: {none: true}}
    feedback: {on: off}
`,
		"secrets/ben": "pw-ben\n", "secrets/tok-2": "tok-2\r\n", "secrets/key": "key-secret", "secrets/sec-2": "sec-2\n",
		"secrets/hv-2": "hv-2\n", "secrets/pt-2": "pt-2\n", "secrets/tok-b": "tok-b\n",
	})
	c, err := Load(filepath.Join(dir, "c/config.yaml"), nil)
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	require.Equal(t, Public{
		Listen: "10.0.0.1:80", URL: "https://dlr.acme.test/sinch", MaxBody: 1 << 20, Memory: 64 << 20, ShedWith429: true,
		MaxConnections: 100,
		TrustedProxies: []string{"10.0.0.7", "10.1.0.0/16"},
	}, c.Public)
	require.Equal(t, Private{Listen: ":9000", Credentials: Credentials{
		Basic: []Basic{
			{Username: "ada", Password: "pw-ada"},
			{Username: "ben", Password: "pw-ben", PasswordFile: "../secrets/ben"},
		},
		Tokens: []Secret{"tok-1", "tok-2"}, TokenFiles: []string{"../secrets/tok-2"},
	}}, c.Private)
	require.Equal(t, Gateway{Listen: "127.0.0.1:8082", Defaults: true, MaxBody: 1 << 20}, c.Gateway)
	require.Equal(t, "web-1.example", c.Replica)
	kept := Default().Store
	kept.Path, kept.Retention, kept.SizeLimit = filepath.Join(dir, "var"), Duration(90*day), 50<<30
	require.Equal(t, kept, c.Store)
	require.Equal(t, Log{Level: "debug", Format: FormatJSON}, c.Log)
	require.Equal(t, Duration(3*time.Second), c.ShutdownDelay)
	require.Equal(t, Duration(time.Minute), c.ShutdownTimeout)
	require.Len(t, c.Plans, 2)
	require.Equal(t, Plan{
		ID: "plan-a", BaseURL: "http://127.0.0.1:9200",
		Project: Project{ID: "proj", KeyID: "key", KeySecret: "key-secret", KeySecretFile: "../secrets/key"},
		Webhook: Webhook{Auth: Auth{
			HMAC: HMAC{
				Secrets: []Secret{"sec-1", "sec-2"}, SecretFiles: []string{"../secrets/sec-2"},
				MaxAge: Duration(48 * time.Hour),
			},
			Basic:     []Basic{{Username: "sinch", Password: "pw-sinch"}},
			Header:    Header{Name: "X-Hook", Values: []Secret{"hv-1", "hv-2"}, ValueFiles: []string{"../secrets/hv-2"}},
			PathToken: PathToken{Values: []Secret{"pt-1", "pt-2"}, ValueFiles: []string{"../secrets/pt-2"}},
			OnFailure: webhook.RejectOnFailure,
		}},
		Feedback: Feedback{
			On: store.OnOff, Batches: AllBatches, Workers: 8, Rate: 0.5, GiveUp: Duration(36 * time.Hour),
			Backoff: Backoff{Base: Duration(2 * time.Second), Cap: Duration(time.Minute)}, Timeout: Duration(5 * time.Second),
		},
		Gateway:   PlanGateway{Token: PlanToken},
		Reconcile: Reconcile{Grace: Duration(5 * time.Minute), Rate: 0.25},
	}, c.Plans[0])
	second := DefaultPlan()
	second.ID, second.Region, second.Token, second.TokenFile = "plan-b", "us", "tok-b", "../secrets/tok-b"
	second.Webhook.Auth.None, second.Feedback.On = true, store.OnOff
	require.Equal(t, second, c.Plans[1])
}

func TestScalarsOfTextSettingsStayUnchanged(t *testing.T) {
	c, err := load(t, `plans:
  - id: 0123
    region: eu
    token: 0x1F
    webhook:
      auth:
        hmac:
          secrets:
            - yes
            - 1.50
            - true
            - .inf
            - "with: colon # and hash"
            - |
              in a block
            - !!str 007
`)
	require.NoError(t, err)
	require.Equal(t, "0123", c.Plans[0].ID)
	require.Equal(t, Secret("0x1F"), c.Plans[0].Token)
	require.Equal(t, []Secret{"yes", "1.50", "true", ".inf", "with: colon # and hash", "in a block", "007"},
		c.Plans[0].Webhook.Auth.HMAC.Secrets)
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	c, err := load(t, "\ufeff"+`plans:
  - &first
    id: plan-a
    region: eu
    token: tok
    webhook: &hook {auth: {hmac: {secrets: [sec]}}}
    feedback: {coalesce: 5s}
  - <<: *first
    id: plan-b
    feedback: {workers: 2}
  - {id: plan-c, region: us, token: tok-c, webhook: *hook}
`)
	require.NoError(t, err)
	require.Equal(t, "plan-b", c.Plans[1].ID)
	require.Equal(t, "eu", c.Plans[1].Region)
	require.Equal(t, Duration(5*time.Second), c.Plans[1].Feedback.Coalesce)
	require.Equal(t, 2, c.Plans[1].Feedback.Workers)
	require.Equal(t, []Secret{"sec"}, c.Plans[2].Webhook.Auth.HMAC.Secrets)
}

func TestWindowsLineEnds(t *testing.T) {
	c, err := load(t, "log: {level: warn}\r\nplans:\r\n  - id: plan-a\r\n    region: eu\r\n    token: tok\r\n    "+
		"webhook: {auth: {none: true}}\r\n")
	require.NoError(t, err)
	require.Equal(t, Secret("tok"), c.Plans[0].Token)
	require.Equal(t, "warn", c.Log.Level)
}

func TestWhichFileIsLoaded(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.yaml": minimal + "log: {level: debug}\n", "named.yaml": minimal + "log: {level: warn}\n",
		"flag.yaml": minimal + "log: {level: error}\n",
	})
	t.Chdir(dir)
	level := func(path string, environ ...string) string {
		c, err := Load(path, environ)
		require.NoError(t, err)
		return c.Log.Level
	}
	require.Equal(t, "error", level("flag.yaml", "DLRLOOP_CONFIG=named.yaml"))
	require.Equal(t, "warn", level("", "DLRLOOP_CONFIG=named.yaml"))
	require.Equal(t, "debug", level("", "DLRLOOP_CONFIG="))
	require.NoError(t, os.Remove("config.yaml"))

	c, err := Load("", []string{
		"DLRLOOP_PLANS_0_ID=p", "DLRLOOP_PLANS_0_REGION=eu", "DLRLOOP_PLANS_0_TOKEN=t",
		"DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=s",
	})
	require.NoError(t, err)
	require.Empty(t, c.File)
	require.Equal(t, "data", c.Store.Path)
	require.Equal(t, DefaultPlan().Feedback, c.Plans[0].Feedback)

	_, err = Load("", nil)
	require.EqualError(t, err, "environment: plans: no configuration found: there is no config.yaml in the "+
		"working directory, and neither --config nor $DLRLOOP_CONFIG names a file; start from a copy of "+
		"config.example.yaml, or set DLRLOOP_PLANS_0_ID and the like")
	_, err = Load("", []string{"DLRLOOP_CONFIG=gone.yaml"})
	require.EqualError(t, err, "gone.yaml: there is no such file; name another file, or start from a copy of "+
		"config.example.yaml")
	_, err = Load(".", nil)
	require.EqualError(t, err, ".: is a directory; name a file")
	require.NoError(t, os.WriteFile("large.yaml", make([]byte, maxFile+1), 0o600))
	_, err = Load("large.yaml", nil)
	require.EqualError(t, err, "large.yaml: is larger than 1024 KiB, the limit for this file; name another file")
}

func TestPathsAreRelativeToTheFileOrTheWorkingDirectory(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"etc/config.yaml": "plans: [{id: p, region: eu, token_file: token, webhook: {auth: {hmac: {secret_files: " +
			"[secret]}}}}]",
		"etc/token": "tok-etc", "token": "tok-work", "etc/secret": "sec-etc", "secret": "sec-work",
	})
	t.Chdir(dir)
	c, err := Load("etc/config.yaml", nil)
	require.NoError(t, err)
	require.Equal(t, Secret("tok-etc"), c.Plans[0].Token)
	require.Equal(t, "etc/data", c.Store.Path)

	c, err = Load("etc/config.yaml", []string{
		"DLRLOOP_PLANS_0_TOKEN_FILE=token", "DLRLOOP_STORE_PATH=var", "DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRET_FILES=secret",
	})
	require.NoError(t, err)
	require.Equal(t, Secret("tok-work"), c.Plans[0].Token)
	require.Equal(t, []Secret{"sec-work"}, c.Plans[0].Webhook.Auth.HMAC.Secrets)
	require.Equal(t, "var", c.Store.Path)
}

func TestWarnsOfSecretsThatEverybodyCanRead(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"config.yaml": minimal + "  - {id: b, region: eu, token_file: token, webhook: {auth: {none: true}}}\n",
		"token":       "tok",
	})
	path := filepath.Join(dir, "config.yaml")
	warnings := func(config, token fs.FileMode) string {
		require.NoError(t, os.Chmod(path, config))
		require.NoError(t, os.Chmod(filepath.Join(dir, "token"), token))
		c, err := Load(path, nil)
		require.NoError(t, err)
		return c.Warnings.Error()
	}
	require.Empty(t, warnings(0o600, 0o640))
	require.Equal(t, path+": contains secrets and is readable by every user; run chmod o= "+path+
		", or move the secrets to separate files", warnings(0o604, 0o600))
	require.Equal(t, path+":6:37: plans[1].token_file: "+dir+"/token is readable by every user; run chmod o= "+dir+
		"/token", warnings(0o600, 0o644))

	require.NoError(t, os.WriteFile(path, []byte("plans: [{id: b, region: eu, token_file: token, webhook: {auth: "+
		"{none: true}}}]"), 0o644))
	require.Empty(t, warnings(0o644, 0o600), "a file without secrets may be readable by all")
}

func TestOtherWarnings(t *testing.T) {
	c, err := load(t, `plans:
  - {id: a, base_url: "http://sinch.internal", token: tok, webhook: {auth: {hmac: {secrets: [s], max_age: 1h}}}}
`)
	require.NoError(t, err)
	require.Equal(t, c.File+":2:23: plans[0].base_url: is not HTTPS: credentials and numbers cross the network in "+
		"clear text\n"+
		c.File+":2:107: plans[0].webhook.auth.hmac.max_age: 1h is less than the day for which Sinch retries a callback; "+
		"if retries keep their first signature, their verification fails", c.Warnings.Error())
}

func TestPrivateListen(t *testing.T) {
	path := filepath.Join(writeFiles(t, map[string]string{"config.yaml": "private: {listen: \":9000\"}\nplans: " +
		"[{token_file: gone}]"}), "config.yaml")
	require.Equal(t, ":9000", PrivateListen(path, nil), "even if the configuration is rejected")
	require.Equal(t, "127.0.0.1:7", PrivateListen(path, []string{"DLRLOOP_PRIVATE_LISTEN=127.0.0.1:7"}))
	require.Equal(t, "127.0.0.1:8081", PrivateListen(path+".gone", nil))
}
