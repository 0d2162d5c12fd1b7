package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/relay/destinations"
	"github.com/dlrloop/dlrloop/store"
)

const (
	signing1 = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	signing2 = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="
)

// destinationWith returns the minimal configuration with a destination app that has these lines, from line 3 on.
func destinationWith(lines ...string) string {
	return "destinations:\n  - name: app\n    " + strings.Join(lines, "\n    ") + "\n" + minimal
}

const (
	appURL     = "url: https://app.test/reports"
	appSecrets = "secrets: [" + signing1 + "]"
)

func TestDestination(t *testing.T) {
	c, err := load(t, destinationWith(appURL, appSecrets))
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	want := destinations.Destination{Name: "app", URL: "https://app.test/reports", Secrets: []string{signing1}}.
		WithDefaults()
	got := c.Destinations[0].Delivery()
	require.Empty(t, got.Events, "all")
	require.Equal(t, want, got.WithDefaults(), "the defaults are those of the package")

	c, err = load(t, destinationWith(appURL, "format: sinch", "plans: [plan-a]",
		"events: [report.received, inbound.received]", "ordered: false", "token: tok-1234", "timeout: 3s", "rate: 2.5",
		"workers: 3", "backoff: {base: 2s, cap: 5m}", "give_up: 2d", "max_pending: 5000"))
	require.NoError(t, err)
	require.Equal(t, destinations.Destination{
		Name: "app", URL: "https://app.test/reports", Format: destinations.FormatSinch, Plans: []string{"plan-a"},
		Events: []store.EventType{store.ReportReceived, store.InboundReceived}, MaxEvents: 1, Unordered: true,
		Token: "tok-1234", Timeout: 3 * time.Second, Rate: 2.5, Workers: 3,
		Backoff: relay.Backoff{Base: 2 * time.Second, Cap: 5 * time.Minute}, GiveUp: 48 * time.Hour, MaxPending: 5000,
	}, c.Destinations[0].Delivery())
	require.True(t, c.Destinations[0].Covers("plan-a"))
	require.False(t, c.Destinations[0].Covers("plan-b"))
}

func TestDestinationWithoutAnyPlan(t *testing.T) {
	_, err := load(t, "destinations: [{name: app, plans: [plan-a]}]")
	require.ErrorContains(t, err, `destinations[0].plans[0]: "plan-a" is not the id of a plan; configure it under plans`)
}

func TestDestinationFiles(t *testing.T) {
	content := destinationWith(appURL, "secret_files: [new, old]", "token_file: token", "ca_file: ca.pem")
	dir := writeFiles(t, map[string]string{
		"config.yaml": content, "new": signing2 + "\n", "old": signing1, "token": "tok-1234\n", "ca.pem": "",
	})
	path := filepath.Join(dir, "config.yaml")
	_, err := Load(path, nil)
	require.ErrorContains(t, err, "destinations[0].ca_file: "+dir+"/ca.pem contains no certificate in PEM format")
	c, err := Reload(path, nil)
	require.NoError(t, err, "a running server reads the certificates itself")
	got := c.Destinations[0].Delivery()
	require.Equal(t, []string{signing2, signing1}, got.Secrets)
	require.Equal(t, "tok-1234", got.Token)
	require.Equal(t, filepath.Join(dir, "ca.pem"), got.CAFile)
}

func TestDestinationFromTheEnvironment(t *testing.T) {
	c, err := load(t, minimal, "DLRLOOP_DESTINATIONS_0_NAME=app", "DLRLOOP_DESTINATIONS_0_URL=http://127.0.0.1:9000/",
		"DLRLOOP_DESTINATIONS_0_SECRETS="+signing1, "DLRLOOP_DESTINATIONS_0_EVENTS=inbound.received,batch.completed")
	require.NoError(t, err)
	require.Empty(t, c.Warnings, "a loopback address needs no HTTPS")
	require.Equal(t, []store.EventType{store.InboundReceived, store.BatchCompleted}, c.Destinations[0].Delivery().Events)
	require.Equal(t, 8, c.Destinations[0].Workers)

	_, err = load(t, minimal, "DLRLOOP_DESTINATIONS_0_URL=https://app.test/")
	require.ErrorContains(t, err, "$DLRLOOP_DESTINATIONS_0_URL: destinations[0]: there is no such destination")
}

func TestDestinationProblems(t *testing.T) {
	valid := destinationWith(appURL, appSecrets)
	with := func(line string) string { return destinationWith(appURL, appSecrets, line) }
	for file, want := range map[string]string{
		destinationWith(appSecrets): "config.yaml:2:5: destinations[0].url: is not set; write the URL",
		destinationWith("url: https://u:p4ss@app.test/", appSecrets): "config.yaml:3:10: destinations[0].url: " +
			"contains a user name",
		destinationWith("url: https://app.test/#x", appSecrets): "config.yaml:3:10: destinations[0].url: " +
			"contains a fragment",
		destinationWith("url: app.test/s3cr3t", appSecrets): "config.yaml:3:10: destinations[0].url: " +
			"must begin with https://",
		destinationWith("url: [https://app.test/s3cr3t]", appSecrets): "destinations[0].url: ",
		strings.Replace(valid, "app", "My App", 1): `config.yaml:2:11: destinations[0].name: "My App" is not ` +
			"a name",
		destinationWith(appURL): "config.yaml:2:5: destinations[0].secrets: is not set",
		destinationWith(appURL, "secrets: ["+signing1+", s3cr3t]"): "destinations[0].secrets[1]: " +
			"does not begin with whsec_",
		destinationWith(appURL, "secrets: [YOUR_SECRET]"): "destinations[0].secrets[0]: is a placeholder",
		destinationWith(appURL, "secrets: ["+signing1+", "+signing2+", "+signing1+"]"): "destinations[0].secrets: " +
			"has more than two secrets",
		with("format: sinch"): "destinations[0].secrets: sign only the format events",
		destinationWith(appURL, "format: sinch", "max_events: 2"): "config.yaml:5:17: destinations[0].max_events: " +
			"is only for the format events",
		with("format: json"): `destinations[0].format: "json" is not a valid value; use events or sinch`,
		with("events: [inbound.received, mo]"): `config.yaml:5:32: destinations[0].events[1]: "mo" is not a type of ` +
			"this format; use any of recipient.status, batch.completed, feedback.accepted, feedback.dead, " +
			"inbound.received, callback.quarantined",
		with("plans: [plan-a, plan-x]"): `config.yaml:5:21: destinations[0].plans[1]: "plan-x" is not the id of a ` +
			"plan; use plan-a",
		with(`token: "a b"`):        "config.yaml:5:12: destinations[0].token: ",
		with("key_file: k.pem"):     "destinations[0].cert_file: is not set",
		with("ca_file: ca.pem"):     "config.yaml:5:14: destinations[0].ca_file: ",
		with("backoff: {base: 1h}"): "destinations[0].backoff.cap: is less than base",
		with("max_events: 1001"):    "destinations[0].max_events: 1001 is out of range; allowed: 1 to 1000",
		with("give_up: 30d"):        "store.retention: 30d is too short: events of destinations[0] are retried for 30d",
		with("secret: " + signing1): "config.yaml:5:5: destinations[0].secret: unknown key",
		strings.Replace(valid, "plans:", "  - {name: app, "+appURL+", "+appSecrets+"}\nplans:", 1): "config.yaml:5:12: " +
			`destinations[1].name: "app" is already the name of destinations[0]`,
	} {
		got, problems := refused(t, file, nil)
		assert.Contains(t, got, want)
		require.Len(t, problems, 1, got)
		for _, secret := range []string{"p4ss", "s3cr3t", signing1} {
			require.NotContains(t, problems[0].Error()+problems[0].Source, secret)
		}
	}
}

// A destination that is dlrloop's own webhook would receive its own events as callbacks, for ever.
func TestOwnWebhookAsADestination(t *testing.T) {
	for url, own := range map[string]bool{
		"http://127.0.0.1:8080/webhooks/plan-a":       true,
		"http://localhost:8080/webhooks/plan-a/token": true,
		"https://DLR.test/webhooks/plan-a":            true,
		"https://dlr.test/reports":                    false,
		"http://127.0.0.1:9000/webhooks/plan-a":       false,
		"https://app.test/webhooks/plan-a":            false,
	} {
		_, err := load(t, "public: {url: https://dlr.test}\n"+destinationWith("url: "+url, appSecrets))
		if own {
			require.ErrorContains(t, err, "destinations[0].url: is the webhook of this dlrloop", url)
			continue
		}
		require.NoError(t, err, url)
	}
}

func TestSuspiciousURLOfADestination(t *testing.T) {
	for url, want := range map[string]string{
		"http://app.test/s3cr3t":         "destinations[0].url: is not HTTPS",
		"https://app.example.com/s3cr3t": "destinations[0].url: is the example's host; write the URL of your application",
	} {
		c, err := load(t, destinationWith("url: "+url, appSecrets))
		require.NoError(t, err)
		require.Len(t, c.Warnings, 1)
		require.Contains(t, c.Warnings[0].Error(), want)
		require.NotContains(t, c.Warnings[0].Error()+c.Warnings[0].Source, "s3cr3t")
	}
}

// The destination in config.example.yaml is valid, and the defaults there are correct.
func TestTheDestinationOfTheExample(t *testing.T) {
	example, err := os.ReadFile("../config.example.yaml")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(example), "#   destinations:\n")
	require.True(t, found)
	content := "destinations:\n"
	for _, line := range regexp.MustCompile(`(?m)^#   (.*)$`).FindAllStringSubmatch(block, -1) {
		content += line[1] + "\n"
	}
	dir := writeFiles(t, map[string]string{"config.yaml": content + minimal, "secrets/app-webhook": signing1})
	c, err := Load(filepath.Join(dir, "config.yaml"), nil)
	require.NoError(t, err)
	want := DefaultDestination()
	want.Name, want.URL = "app", "https://app.example.com/reports"
	want.SecretFiles, want.Secrets = []string{"secrets/app-webhook"}, []Secret{signing1}
	require.Equal(t, []Destination{want}, c.Destinations)
}
