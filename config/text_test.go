package config

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everySecret is a configuration that reads every secret from the file "secret".
const everySecret = `private: {credentials: {basic: [{username: u, password_file: secret}], token_files: [secret]}}
store: {driver: bolt}
plans:
  - id: a
    region: eu
    token_file: secret
    webhook:
      auth:
        hmac: {secret_files: [secret]}
        basic: [{username: u, password_file: secret}]
        header: {name: X-A, value_files: [secret]}
        path_token: {value_files: [secret]}
  - id: b
    region: eu
    project: {id: p, key_id: k, key_secret_file: secret}
    webhook: {auth: {none: true}}
`

func TestAByteOrderMarkIsRemovedFromASecret(t *testing.T) {
	for _, content := range []string{"\ufeffhush", "\ufeffhush\n", "\ufeffhush\r\n", "hush\n\n"} {
		dir := writeFiles(t, map[string]string{"config.yaml": everySecret, "secret": content})
		c, err := Load(dir+"/config.yaml", nil)
		require.NoError(t, err)
		a := c.Plans[0].Webhook.Auth
		for _, got := range []Secret{
			c.Private.Credentials.Basic[0].Password, c.Private.Credentials.Tokens[0], c.Plans[0].Token,
			c.Plans[1].Project.KeySecret,
			a.HMAC.Secrets[0], a.Basic[0].Password, a.Header.Values[0], a.PathToken.Values[0],
		} {
			require.Equal(t, "hush", got.Reveal())
		}
	}
	c, err := load(t, strings.Replace(minimal, "tok-a", "\"\\ufefftok-a\"", 1),
		"DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=\ufeffsec-b")
	require.NoError(t, err)
	require.Equal(t, "tok-a", c.Plans[0].Token.Reveal())
	require.Equal(t, "sec-b", c.Plans[0].Webhook.Auth.HMAC.Secrets[0].Reveal())
	require.Len(t, c.Warnings, 2)
	require.Contains(t, c.Warnings[0].Error(), "config.yaml:4:12: plans[0].token: begins with U+FEFF (byte order "+
		"mark), which is ignored")
	require.Contains(t, c.Warnings[1].Error(), "$DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS")
}

func TestInvisibleCharactersInSecretsAreRejected(t *testing.T) {
	wide := func(order func(unit uint16) []byte) string {
		var content []byte
		for _, unit := range utf16.Encode([]rune("\ufeffhush\r\n")) {
			content = append(content, order(unit)...)
		}
		return string(content)
	}
	for content, want := range map[string]string{
		"hu\u200bsh":       "character 3 is U+200B (zero width space), which is invisible; remove it",
		"hush\u00a0\n":     "character 5 is U+00A0 (no-break space), which is invisible; remove it",
		"hu\u00adsh":       "character 3 is U+00AD (soft hyphen), which is invisible; remove it",
		"hu\ufeffsh":       "character 3 is U+FEFF (byte order mark), which is invisible; remove it",
		"\ufeff\ufeffhush": "character 1 is U+FEFF (byte order mark), which is invisible; remove it",
		"\u202ehush":       "character 1 is U+202E, which is invisible; remove it",
		"hush\u2028":       "character 5 is U+2028, which is invisible; remove it",
		"hush\u3000":       "character 5 is U+3000, which is invisible; remove it",
		"hush\u2800":       "character 5 is U+2800, which is invisible; remove it",
		"hu\u3164sh":       "character 3 is U+3164, which is invisible; remove it",
		"hu\ufe0fsh":       "character 3 is U+FE0F, which is invisible; remove it",
		"hu\U000e0020sh":   "character 3 is U+E0020, which is invisible; remove it",
		"h\xfcsh":          "character 2 is not UTF-8; save the text as UTF-8",
		"hü\ufffdsh":       "character 3 is U+FFFD, which replaces an undecodable character; write the text again",
		"hu\x00sh":         errControl.Error(),
		"\xef\xbb\xbf\n":   "the file is empty; put the secret there",
		wide(func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }): "is UTF-16; save it as UTF-8",
		wide(func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }): "is UTF-16; save it as UTF-8",
	} {
		got, problems := refused(t, everySecret, map[string]string{"secret": content})
		require.NotContains(t, got, "hush")
		require.Len(t, problems, 8, "each secret must be reported: %s", got)
		for _, p := range problems {
			assert.Contains(t, p.Error(), "secret: "+want)
		}
	}
	got, _ := refused(t, strings.Replace(minimal, "tok-a", `"hu\u200bsh"`, 1), nil,
		"DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS=hu\u00a0sh")
	require.Equal(t, "config.yaml:4:12: plans[0].token: character 3 is U+200B (zero width space), "+
		"which is invisible; remove it\n"+
		"$DLRLOOP_PLANS_0_WEBHOOK_AUTH_HMAC_SECRETS: plans[0].webhook.auth.hmac.secrets[0]: "+
		"character 3 is U+00A0 (no-break space), which is invisible; remove it", got)
}

func TestInvisibleCharactersInOtherTextsAreRejected(t *testing.T) {
	got, _ := refused(t, "public: {listen: \"127.0.0.1:80\\u200b\", url: \"\\ufeffhttps://dlr.acme.test\", "+
		"trusted_proxies: [\"10.0.0.1\\u00a0\"]}\n"+
		"store: {path: \"da\\0ta\"}\n"+strings.Replace(minimal, "plan-a", `"plan-a\u200d"`, 1), nil)
	require.Equal(t,
		`config.yaml:1:18: public.listen: character 13 is U+200B (zero width space), which is invisible; remove it
config.yaml:1:45: public.url: character 1 is U+FEFF (byte order mark), which is invisible; remove it
config.yaml:1:94: public.trusted_proxies[0]: character 9 is U+00A0 (no-break space), which is invisible; remove it
config.yaml:2:15: store.path: character 3 is U+0000, which is invisible; remove it
config.yaml:4:9: plans[0].id: character 7 is U+200D (zero width joiner), which is invisible; remove it`, got)
}

func TestInvalidTokensAreRejected(t *testing.T) {
	for token, want := range map[string]string{
		"Bearer hush": `begins with "Bearer "; write the token alone`,
		"'\"hush\"'":  "contains a quotation mark, which no token has; write the token alone",
		"hu sh":       "contains a space or another character that no token has; copy the token again",
		"hüsh":        "contains a space or another character that no token has; copy the token again",
		"<hush>":      "is a placeholder; write your own secret",
		"YOUR_TOKEN":  "is a placeholder; write your own secret",
	} {
		got, _ := refused(t, strings.Replace(minimal, "tok-a", token, 1)+"private: {credentials: {tokens: ["+token+"]}}\n",
			nil)
		require.Equal(t, "config.yaml:4:12: plans[0].token: "+want+"\nconfig.yaml:6:34: private.credentials.tokens[0]: "+
			want, got)
	}
	c, err := load(t, strings.Replace(minimal, "sec-a", `"'sec-a'"`, 1))
	require.NoError(t, err)
	require.Len(t, c.Warnings, 1)
	require.Contains(t, c.Warnings[0].Error(), "plans[0].webhook.auth.hmac.secrets[0]: is in quotation marks, "+
		"which count as part of the secret")
}
