package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const hush = "S3CR3T"

// logged returns what slog writes for a value, as JSON and as text.
func logged(v any) string {
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", slog.Any("v", v))
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("v", v))
	return out.String()
}

func TestASecretPrintsAsStars(t *testing.T) {
	s := Secret(hush)
	require.Equal(t, hush, s.Reveal())
	for _, v := range []any{
		s, &s,
		[]Secret{s},
		map[string]Secret{"a": s},
		Basic{Password: s},
		&Plan{Token: s},
		errors.Join(fmt.Errorf("with %v", s)),
	} {
		var printed []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
		asJSON, err := json.Marshal(v)
		require.NoError(t, err)
		asYAML, err := yaml.Marshal(v)
		require.NoError(t, err)
		all := strings.Join(append(printed, fmt.Sprint(v), fmt.Sprintln(v), string(asJSON), string(asYAML), logged(v)), "\n")
		require.NotContains(t, all, hush)
		require.NotContains(t, strings.ToLower(all), fmt.Sprintf("%x", hush))
	}
	require.Equal(t, "***", s.String())
	asJSON, err := json.Marshal(map[string]Secret{"a": s})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"***"}`, string(asJSON))
	asYAML, err := yaml.Marshal(map[string]Secret{"a": s})
	require.NoError(t, err)
	require.Contains(t, string(asYAML), "***")
	require.Contains(t, logged(s), `"v":"***"`)
}

// TestNoProblemShowsASecret checks that no problem of an invalid file contains a secret, however the secret is written.
func TestNoProblemShowsASecret(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	rapid.Check(t, func(t *rapid.T) {
		content := mangled().Draw(t, "file")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Load(path, []string{
			"DLRLOOP_PLANS_0_FEEDBACK_RATE=fast",
			"DLRLOOP_PLANS_0_WEBHOOK_AUTH_PATH_TOKEN_VALUES=" + hush + "/",
		})
		var problems Problems
		require.ErrorAs(t, err, &problems)
		for _, p := range problems {
			require.NotContains(t, p.Error()+"\n"+p.Source, hush)
		}
	})
}

// mangled generates files with secrets in many notations, and with mistakes around them.
func mangled() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		secret := func(indent string) string {
			return rapid.SampledFrom([]string{
				hush, `"` + hush + `"`, "'" + hush + "'", "|\n" + indent + "  " + hush + "\n" + indent + "  " + hush,
				">-\n" + indent + "  " + hush,
				"\"a\n" + indent + "  " + hush + "\"", "[" + hush + "]", "{a: " + hush + "}", "!!str " + hush, "&x " + hush,
				"\n" + indent + "  " + hush,
				"\"" + hush, "[" + hush, "{" + hush, "# " + hush, hush + ": " + hush, hush + " # c", "@" + hush,
				"\n" + indent + "  - " + hush + "\n" + indent + "  - {",
			}).Draw(t, "secret")
		}
		key := func(names ...string) string { return rapid.SampledFrom(names).Draw(t, "key") }
		flow := func() string {
			return rapid.SampledFrom([]string{
				hush, `"` + hush + `"`, "\"a\n          " + hush + "\"", "[" + hush + ", a]", "", "{b: " + hush + "}",
				hush + ", usrname: u", "\"" + hush,
			}).Draw(t, "flow")
		}
		return "log: {level: loud}\nplans:\n  - id: a\n    " + key("region", "regoin") + ": " + key("eu", "mars") + "\n" +
			"    " + key("token", "tokn", "TOKEN", "feedback", "project", "a b") + ": " + secret("    ") + "\n" +
			"    webhook:\n      auth:\n" +
			"        " + key("hmac", "hamc", "basic") + ":\n" +
			"          " + key("secrets", "secret", "mac_secrets") + ": " + secret("          ") + "\n" +
			"        header: {name: " + key("X-A", "X A") + ", " + key("values", "valeus") + ": " + flow() + "}\n" +
			"        " + key("none", "nine") + ": " + key("true", "maybe") + "\n"
	})
}

func TestExcerptsShowLinesWithoutSecrets(t *testing.T) {
	_, problems := refused(t, `log: {level: loud}
plans:
  - {id: a, region: mars, token: `+hush+`}
  - id: b
    region: mars
    project: {kind: x, key_secret: "more
      `+hush+`", id: p/q, key_id: k}
    token: `+hush+`
    webhook: {auth: {none: perhaps}}
    feedback: {rate: 0}   # calls
`, nil)
	sources := map[string]string{}
	for _, p := range problems {
		sources[p.Key] = p.Source
	}
	require.Equal(t, "log: {level: loud}", sources["log.level"])
	require.Equal(t, "  - ***", sources["plans[0].region"])
	require.Equal(t, "    region: mars", sources["plans[1].region"])
	require.Equal(t, "    project: ***", sources["plans[1].project.kind"])
	require.Equal(t, "      ***", sources["plans[1].project.id"])
	require.Equal(t, "    webhook: {auth: {none: perhaps}}", sources["plans[1].webhook.auth.none"])
	require.Equal(t, "    feedback: {rate: 0}", sources["plans[1].feedback.rate"])
}
