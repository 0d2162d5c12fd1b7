package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// refused loads content as config.yaml in a folder with these files and returns the problems, without the folder's name.
func refused(t *testing.T, content string, files map[string]string, environ ...string) (string, Problems) {
	t.Helper()
	dir := folder(t, files)
	path := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	c, err := Load(path, environ)
	require.Nil(t, c)
	var problems Problems
	require.ErrorAs(t, err, &problems)
	return strings.ReplaceAll(err.Error(), dir+"/", ""), problems
}

// planWith is a file with one plan that works but for what is added, from line 3 on.
func planWith(lines ...string) string {
	return "plans:\n  - id: plan-a\n    " + strings.Join(lines, "\n    ") + "\n"
}

const (
	region   = "region: eu"
	apiToken = "token: tok-a"
	webhook  = "webhook: {auth: {none: true}}"
)

func TestEachMistakeIsToldWithItsPlaceKeyAndWayOut(t *testing.T) {
	full := planWith(region, apiToken, webhook)
	for name, c := range map[string]struct{ file, want string }{
		"unknown key":         {full + "publik: {}\n", "config.yaml:6:1: publik: unknown key; did you mean public?"},
		"unknown key in plan": {planWith("regoin: eu", apiToken, webhook), "config.yaml:3:5: plans[0].regoin: unknown key; did you mean region?"},
		"unknown key, nothing near": {
			full + "log: {colour: true}\n",
			"config.yaml:6:7: log.colour: unknown key; known here: level, format",
		},
		"key in capitals":   {full + "Log: {level: info}\n", "config.yaml:6:1: Log: unknown key; did you mean log?"},
		"no word":           {full + "log: {s3cr3t text}\n", "config.yaml:6:7: log: this is not a key; write a key, a colon, a space and the value; known here: level, format"},
		"set twice":         {planWith(region, apiToken, webhook, region), "config.yaml:6:5: plans[0].region: is set twice; line 3 sets it first"},
		"text for a block":  {full + "log: info\n", "config.yaml:6:6: log: must be a block of keys: level, format"},
		"text for a list":   {full + "public: {trusted_proxies: 10.0.0.1}\n", `config.yaml:6:27: public.trusted_proxies: must be a list: each entry on a line of its own after "- ", or all in [ ]`},
		"list for text":     {full + "log: {level: [info]}\n", "config.yaml:6:14: log.level: must be a single value, not a list or a block of keys"},
		"block for a list":  {"plans:\n  plan-a: {}\n", `config.yaml:2:3: plans: must be a list: each entry on a line of its own after "- ", or all in [ ]`},
		"second document":   {full + "---\nlog: {level: info}\n", "config.yaml:7:1: a second document begins here; put everything into the first"},
		"a list as a whole": {"- a\n", "config.yaml:1:1: must be a block of keys: public, private, gateway, store, memory, replica, log, shutdown_delay, shutdown_timeout, plans"},
		"unknown alias":     {full + "log: *other\n", "config.yaml:6:6: log: the alias has no anchor; write &name before the value that *name repeats"},
		"alias of itself":   {"plans:\n  - &a {<<: *a, id: x}\n", "config.yaml:2:8: plans[0]: an alias contains itself"},
		"not YAML":          {"plans:\n\t- id: a\n", "config.yaml:2:1: is not YAML: a tab cannot indent; use spaces"},
		"a space too many":  {"plans:\n  - id: a\n   region: eu\n", "config.yaml:3:4: is not YAML: this line is indented like none above it; begin the keys of one block in the same column"},
		"a space more":      {"log:\n  level: info\n   format: json\n", `config.yaml:2:10: is not YAML: a key begins where none can; begin the keys of one block in the same column, and put a text that contains ": " into quotation marks`},
		"key of a plan":     {full + "feedback: {on: off}\n", "config.yaml:6:1: feedback: unknown key here; it belongs to plans[]"},
		"key of blocks":     {full + "token: x\n", "config.yaml:6:1: token: unknown key here; it belongs to plans[] or plans[].gateway"},
		"key of the top":    {planWith(region, apiToken, webhook, "log: {level: info}"), "config.yaml:6:5: plans[0].log: unknown key here; it belongs to the top level"},
		"UTF-16":            {"\xff\xfep\x00", "config.yaml: is UTF-16; save it as UTF-8"},
		"unclosed quote":    {"log:\n  level: \"info\n", "config.yaml:2:10: is not YAML: could not find end character of double-quoted text"},
		"nothing":           {"", "config.yaml: plans: there is no plan; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like"},
		"only a comment":    {"# later\n", "config.yaml: plans: there is no plan; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like"},
		"no plan":           {"plans: []\n", "config.yaml:1:1: plans: there is no plan; add your service plan under plans:, or set DLRLOOP_PLANS_0_ID and the like"},

		"no unit":           {full + "shutdown_delay: 10\n", `config.yaml:6:17: shutdown_delay: "10" is not a length of time; write a number with its unit, such as 500ms, 10s, 5m, 12h or 30d`},
		"negative duration": {full + "shutdown_timeout: -10s\n", "config.yaml:6:19: shutdown_timeout: must not be negative"},
		"no timeout":        {full + "shutdown_timeout: 0s\n", "config.yaml:6:19: shutdown_timeout: 0s is out of range; give 100ms to 1h"},
		"no size":           {full + "public: {max_body: 16 megs}\n", `config.yaml:6:20: public.max_body: "16 megs" is not a size; write whole bytes with or without a unit, such as 65536, 512KiB, 16MiB or 1GB`},
		"negative size":     {full + "public: {max_body: -1}\n", "config.yaml:6:20: public.max_body: must not be negative"},
		"size of 0":         {full + "public: {max_body: 0}\n", "config.yaml:6:20: public.max_body: 0 is out of range; give 16KiB to 256MiB"},
		"size of frames":    {full + "public: {max_body: 268435457, memory: 4GiB}\nmemory: {limit: 8GiB}\n", "config.yaml:6:20: public.max_body: 268435457B is out of range; give 16KiB to 256MiB"},
		"memory above half": {full + "public: {memory: 257MiB}\nmemory: {limit: 512MiB}\n", "config.yaml:6:18: public.memory: 257MiB is more than half of memory.limit, 512MiB; raise that, or leave this out, and it is a quarter"},
		"body for a limit":  {full + "public: {max_body: 17MiB}\nmemory: {limit: 256MiB}\n", "config.yaml:6:20: public.max_body: 17MiB is too much for memory.limit, 256MiB; give at most 16MiB, or a limit of 272MiB"},
		"limit too small":   {full + "memory: {limit: 63MiB}\n", "config.yaml:6:17: memory.limit: 63MiB is out of range; give 0, or 64MiB to 1TiB"},
		"memory too small":  {full + "public: {memory: 63MiB}\nmemory: {limit: 512MiB}\n", "config.yaml:6:18: public.memory: 63MiB is not enough for one callback of public.max_body, 16MiB, compressed and not; give it at least four times that"},
		"no bool":           {full + "public: {shed_with_429: maybe}\n", `config.yaml:6:25: public.shed_with_429: "maybe" is neither true nor false`},
		"port alone":        {full + "public: {listen: 8080}\n", `config.yaml:6:18: public.listen: "8080" is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`},
		"no number":         {full + "private: {listen: \"localhost:http\"}\n", `config.yaml:6:19: private.listen: "localhost:http" is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`},
		"same port": {
			full + "private: {listen: \"127.0.0.1:8080\"}\n",
			`config.yaml:6:19: private.listen: "127.0.0.1:8080" takes the port of public.listen, ":8080"; give one of them another port`,
		},
		"open private listener": {
			full + "private: {listen: \":8081\"}\n",
			`config.yaml:6:19: private.listen: ":8081" can be reached from the network, and whoever reaches it may see and do everything; set private.credentials, or listen on 127.0.0.1`,
		},
		"proxy":              {full + "public: {trusted_proxies: [10.0.0.1, proxy]}\n", `config.yaml:6:38: public.trusted_proxies[1]: "proxy" is neither an IP address nor a network; write 10.0.0.7 or 10.0.0.0/8`},
		"URL without scheme": {full + "public: {url: dlr.example.com}\n", "config.yaml:6:15: public.url: is not an http or https URL; write scheme and host, such as https://dlr.example.com"},
		"URL with more":      {full + "public: {url: \"https://a:b@c\"}\n", "config.yaml:6:15: public.url: has more than scheme, host and path; leave out user name, password, ? and #"},
		"certificate alone":  {full + "public: {tls: {cert_file: c.pem}}\n", "config.yaml:6:10: public.tls.key_file: is not set, but cert_file is; HTTPS needs both"},
		"key alone":          {full + "public: {tls: {key_file: k.pem}}\n", "config.yaml:6:10: public.tls.cert_file: is not set, but key_file is; HTTPS needs both"},
		"no certificate":     {full + "public: {tls: {cert_file: c.pem, key_file: empty}}\n", "config.yaml:6:27: public.tls.cert_file: c.pem: there is no such file; name the file with the certificate"},
		"no key":             {full + "public: {tls: {cert_file: empty, key_file: k.pem}}\n", "config.yaml:6:44: public.tls.key_file: k.pem: there is no such file; name the file with the private key"},
		"wrong certificate":  {full + "public: {tls: {cert_file: empty, key_file: empty}}\n", "config.yaml:6:27: public.tls.cert_file: certificate and key do not work together: tls: failed to find any PEM data in certificate input"},
		"user without name":  {full + "private: {credentials: {basic: [{password: x}]}}\n", "config.yaml:6:33: private.credentials.basic[0].username: is not set; a pair is a user name and a password"},
		"colon in user name": {full + "private: {credentials: {basic: [{username: \"a:b\", password: x}]}}\n", "config.yaml:6:44: private.credentials.basic[0].username: contains a colon, which HTTP Basic cannot carry; choose another"},
		"user, no password":  {full + "private: {credentials: {basic: [{username: ada}]}}\n", "config.yaml:6:33: private.credentials.basic[0].password: there is no password; set password or password_file"},
		"empty token":        {full + "private: {credentials: {tokens: [\"\"]}}\n", "config.yaml:6:34: private.credentials.tokens[0]: is empty; remove it, or write the secret"},

		"unknown store":     {full + "store: {driver: mysql}\n", `config.yaml:6:17: store.driver: "mysql" is not possible; choose bolt or postgres`},
		"no store path":     {full + "store: {path: \"\"}\n", "config.yaml:6:15: store.path: is empty; name the folder to keep everything in"},
		"no retention":      {full + "store: {retention: 0s}\n", "config.yaml:6:20: store.retention: 0s is out of range; give 1h to 18250d"},
		"retention":         {full + "store: {retention: 3d}\n", "config.yaml:6:20: store.retention: 3d is too short: feedback of plans[0] is tried for 3d (feedback.give_up), and a day must be left to look at what failed; keep at least 4d"},
		"unknown log level": {full + "log: {level: verbose}\n", `config.yaml:6:14: log.level: "verbose" is not possible; choose debug, info, warn or error`},
		"log format":        {full + "log: {format: logfmt}\n", `config.yaml:6:15: log.format: "logfmt" is not possible; choose auto, json or text`},

		"no id":               {"plans:\n  - region: eu\n    token: t\n    webhook: {auth: {none: true}}\n", "config.yaml:2:5: plans[0].id: is not set; it is the service plan id that Sinch's dashboard shows"},
		"id with slash":       {strings.Replace(full, "plan-a", "a/b", 1), `config.yaml:2:9: plans[0].id: "a/b" cannot be part of a URL's path; copy the service plan id from Sinch's dashboard`},
		"same id":             {full + "  - {id: plan-a, region: us, token: t, webhook: {auth: {none: true}}}\n", `config.yaml:6:10: plans[1].id: "plan-a" is the id of plans[0] already; each plan has one entry`},
		"no region":           {planWith(apiToken, webhook), "config.yaml:2:5: plans[0].region: is not set; write the region of the service plan: us, eu, au, br or ca"},
		"unknown region":      {planWith("region: mars", apiToken, webhook), `config.yaml:3:13: plans[0].region: "mars" is not possible; choose us, eu, au, br or ca`},
		"region and base_url": {planWith(region, "base_url: http://127.0.0.1", apiToken, webhook), "config.yaml:4:15: plans[0].base_url: plans[0].region is set too; keep one of the two"},
		"base_url":            {planWith("base_url: \"ftp://sinch\"", apiToken, webhook), "config.yaml:3:15: plans[0].base_url: is not an http or https URL; write scheme and host, such as https://dlr.example.com"},
		"no credentials":      {planWith(region, webhook), "config.yaml:2:5: plans[0].token: there are no credentials to send feedback with; set token_file, token or project, or feedback: {on: off}"},
		"token twice":         {planWith(region, apiToken, "token_file: full", webhook), "config.yaml:5:17: plans[0].token_file: plans[0].token is set too; keep one of the two"},
		"token and project":   {planWith(region, apiToken, "project: {id: p, key_id: k, key_secret: s}", webhook), "config.yaml:5:5: plans[0].project: plans[0].token is set too; keep one of the two"},
		"half a project": {
			planWith(region, "project: {key_id: k}", webhook),
			"config.yaml:4:5: plans[0].project.id: is not set; a project needs id, key_id and key_secret_file\n" +
				"config.yaml:4:5: plans[0].project.key_secret: there is no secret of the access key; set key_secret_file or key_secret",
		},
		"another half": {
			planWith(region, "project: {id: a b, key_secret: x}", webhook),
			"config.yaml:4:5: plans[0].project.key_id: is not set; a project needs id, key_id and key_secret_file\n" +
				`config.yaml:4:19: plans[0].project.id: "a b" cannot be part of a URL's path; copy the project id from Sinch's dashboard`,
		},
		"project elsewhere": {planWith("region: br", "project: {id: p, key_id: k, key_secret: s}", webhook), "config.yaml:3:13: plans[0].region: Sinch takes a project's access key in us and eu only; use the service plan's API token"},

		"token file gone":        {planWith(region, "token_file: gone", webhook), "config.yaml:4:17: plans[0].token_file: gone: there is no such file; put the secret there, or name another file"},
		"token file empty":       {planWith(region, "token_file: empty", webhook), "config.yaml:4:17: plans[0].token_file: empty: the file is empty; put the secret there"},
		"token file a folder":    {planWith(region, "token_file: folder", webhook), "config.yaml:4:17: plans[0].token_file: folder: is a folder; name a file in it"},
		"token as a file's name": {planWith(region, "token_file: 0123456789abcdef", webhook), "config.yaml:4:17: plans[0].token_file: there is no such file, and it looks like the secret itself; write that without _file, or put it into a file"},
		"two lines":              {planWith(region, "token_file: lines", webhook), "config.yaml:4:17: plans[0].token_file: lines: holds more than one line, or a control character; a secret is a single line of text"},
		"no name of a file":      {planWith(region, apiToken, "webhook: {auth: {hmac: {secret_files: [\"\"]}}}"), "config.yaml:5:44: plans[0].webhook.auth.hmac.secret_files[0]: is empty; remove it, or name the file with the secret"},
		"space at the end":       {planWith(region, `token: "tok "`, webhook), "config.yaml:4:12: plans[0].token: begins or ends with a space; take it away"},
		"tab in a token":         {planWith(region, "token: \"a\\tb\"", webhook), "config.yaml:4:12: plans[0].token: holds more than one line, or a control character; a secret is a single line of text"},

		"no webhook":     {planWith(region, apiToken), "config.yaml:2:5: plans[0].webhook.auth: there is no way to verify callbacks; set hmac, basic, header or path_token, or none: true if only Sinch can reach the webhook"},
		"no way":         {planWith(region, apiToken, "webhook: {auth: {on_failure: reject}}"), "config.yaml:5:15: plans[0].webhook.auth: there is no way to verify callbacks; set hmac, basic, header or path_token, or none: true if only Sinch can reach the webhook"},
		"none and more":  {planWith(region, apiToken, "webhook: {auth: {none: true, hmac: {secrets: [s]}}}"), "config.yaml:5:28: plans[0].webhook.auth.none: takes callbacks unverified, yet a way to verify them is set too; keep one of the two"},
		"on_failure":     {planWith(region, apiToken, "webhook: {auth: {none: true, on_failure: drop}}"), `config.yaml:5:46: plans[0].webhook.auth.on_failure: "drop" is not possible; choose retry or reject`},
		"hmac alone":     {planWith(region, apiToken, "webhook: {auth: {hmac: {}}}"), "config.yaml:5:22: plans[0].webhook.auth.hmac.secrets: there is no secret; set secret_files or secrets"},
		"hmac nothing":   {planWith(region, apiToken, "webhook: {auth: {hmac: }}"), "config.yaml:5:22: plans[0].webhook.auth.hmac.secrets: there is no secret; set secret_files or secrets"},
		"header alone":   {planWith(region, apiToken, "webhook: {auth: {header: {name: X-A}}}"), "config.yaml:5:22: plans[0].webhook.auth.header.values: there is no value to accept; set value_files or values"},
		"header values":  {planWith(region, apiToken, "webhook: {auth: {header: {values: [x]}}}"), "config.yaml:5:22: plans[0].webhook.auth.header.name: is not set; it is the header that Sinch was asked to send"},
		"header of HTTP": {planWith(region, apiToken, "webhook: {auth: {header: {name: Host, values: [x]}}}"), `config.yaml:5:37: plans[0].webhook.auth.header.name: "Host" belongs to HTTP itself and never holds a secret; choose another header`},
		"header name":    {planWith(region, apiToken, "webhook: {auth: {header: {name: X A, values: [x]}}}"), `config.yaml:5:37: plans[0].webhook.auth.header.name: "X A" is not the name of a header; use letters, digits and -`},
		"path token":     {planWith(region, apiToken, "webhook: {auth: {path_token: {values: [a/b]}}}"), "config.yaml:5:22: plans[0].webhook.auth.path_token: a token cannot be part of a URL's path as it is; use letters, digits, - and _"},
		"no path token":  {planWith(region, apiToken, "webhook: {auth: {path_token: {values: []}}}"), "config.yaml:5:35: plans[0].webhook.auth.path_token.values: there is no token to accept; set value_files or values"},
		"hook password":  {planWith(region, apiToken, "webhook: {auth: {basic: [{username: u}]}}"), "config.yaml:5:30: plans[0].webhook.auth.basic[0].password: there is no password; set password or password_file"},
		"batches":        {planWith(region, apiToken, webhook, "feedback: {batches: some}"), `config.yaml:6:25: plans[0].feedback.batches: "some" is not possible; choose known or all`},
		"feedback on":    {planWith(region, apiToken, webhook, "feedback: {on: always}"), `config.yaml:6:20: plans[0].feedback.on: "always" is not possible; choose delivered, confirmed, both or off`},
		"workers":        {planWith(region, apiToken, webhook, "feedback: {workers: -1}"), "config.yaml:6:25: plans[0].feedback.workers: -1 is out of range; give 1 to 1000"},
		"workers, words": {planWith(region, apiToken, webhook, "feedback: {workers: many}"), `config.yaml:6:25: plans[0].feedback.workers: "many" is not a whole number`},
		"rate":           {planWith(region, apiToken, webhook, "feedback: {rate: 0}"), "config.yaml:6:22: plans[0].feedback.rate: 0 is out of range; give 0.01 to 10000"},
		"rate, words":    {planWith(region, apiToken, webhook, "feedback: {rate: .nan}"), `config.yaml:6:22: plans[0].feedback.rate: ".nan" is not a number`},
		"give_up":        {planWith(region, apiToken, webhook, "feedback: {give_up: 0s}"), "config.yaml:6:25: plans[0].feedback.give_up: 0s is out of range; give 1m to 365d"},
		"timeout":        {planWith(region, apiToken, webhook, "feedback: {timeout: 0s}"), "config.yaml:6:25: plans[0].feedback.timeout: 0s is out of range; give 100ms to 10m"},
		"backoff":        {planWith(region, apiToken, webhook, "feedback: {backoff: {base: 1m, cap: 1s}}"), "config.yaml:6:41: plans[0].feedback.backoff.cap: 1s is less than backoff.base, 1m; the cap is the longest wait"},

		"defaults, no URL": {
			full + "gateway: {defaults: true}\n",
			"config.yaml:6:21: gateway.defaults: is set, but public.url is not, and callbacks need somewhere to go: set public.url to where Sinch reaches the webhook, or leave gateway.defaults false",
		},
		"gateway body":    {full + "gateway: {max_body: 0}\n", "config.yaml:6:21: gateway.max_body: 0 is out of range; give 16KiB to 256MiB"},
		"gateway memory":  {full + "gateway: {max_body: 1GiB}\n", "config.yaml:6:21: gateway.max_body: 1GiB is out of range; give 16KiB to 256MiB"},
		"gateway port":    {full + "gateway: {listen: 8082}\n", `config.yaml:6:19: gateway.listen: "8082" is not an address to listen on; write host:port, such as ":8080" or "127.0.0.1:8080"`},
		"gateway, public": {full + "gateway: {listen: \"127.0.0.1:8080\"}\n", `config.yaml:6:19: gateway.listen: "127.0.0.1:8080" takes the port of public.listen, ":8080"; give one of them another port`},
		"gateway, private": {
			full + "gateway: {listen: \"localhost:8081\"}\nprivate: {listen: \"localhost:8081\"}\n",
			`config.yaml:6:19: gateway.listen: "localhost:8081" takes the port of private.listen, "localhost:8081"; give one of them another port`,
		},
		"gateway TLS, no listener": {
			full + "gateway: {tls: {cert_file: c.pem, key_file: k.pem}}\n",
			"config.yaml:6:11: gateway.tls: is set, but gateway.listen is not: the private listener, where the gateway is then, speaks HTTP; set gateway.listen, or leave gateway.tls out",
		},
		"gateway certificate": {full + "gateway: {listen: \"127.0.0.1:1\", tls: {cert_file: c.pem}}\n", "config.yaml:6:34: gateway.tls.key_file: is not set, but cert_file is; HTTPS needs both"},
		"gateway token":       {planWith(region, apiToken, webhook, "gateway: {token: mine}"), `config.yaml:6:22: plans[0].gateway.token: "mine" is not possible; choose caller or plan`},
		"plan's token for anybody": {
			planWith(region, apiToken, webhook, "gateway: {token: plan}"),
			"config.yaml:6:22: plans[0].gateway.token: plan lets whoever reaches the gateway send at your cost, also from this machine; set private.credentials, which callers then need, or gateway: {token: caller}",
		},
		"plan's token, none": {
			planWith(region, webhook, "feedback: {on: off}", "gateway: {token: plan}") + "private: {credentials: {tokens: [t]}}\n",
			"config.yaml:6:22: plans[0].gateway.token: plan wants the plan's own credentials, and there are none; set token_file, token or project, or gateway: {token: caller}",
		},
		"reconcile rate":    {planWith(region, apiToken, webhook, "reconcile: {rate: 0}"), "config.yaml:6:23: plans[0].reconcile.rate: 0 is out of range; give 0.01 to 10000"},
		"reconcile silence": {planWith(region, apiToken, webhook, "reconcile: {silence: -1h}"), "config.yaml:6:26: plans[0].reconcile.silence: must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := refused(t, c.file, map[string]string{"empty": "\n", "full": "tok", "lines": "a\nb\n", "folder/x": ""})
			require.Equal(t, c.want, got)
		})
	}
}

func TestEverythingIsToldAtOnceInTheOrderOfTheFile(t *testing.T) {
	got, problems := refused(t, `log: {level: loud}
plans:
  - id: plan-a
    regoin: eu
    token_file: gone
    webhook: {auth: {hmac: {max_age: soon}}}
    feedback: {workers: 0, coalesce: 1}
  - id: plan-b
`, nil, "DLRLOOP_STORE_RETENTION=1w", "DLRLOOP_PLANS_0_FEEDBACK_RAT=3", "DLRLOOP_PLANS_3_TOKEN=x")
	require.Equal(t, []string{
		`config.yaml:1:14: log.level: "loud" is not possible; choose debug, info, warn or error`,
		`config.yaml:4:5: plans[0].regoin: unknown key; did you mean region?`,
		`config.yaml:5:17: plans[0].token_file: gone: there is no such file; put the secret there, or name another file`,
		`config.yaml:6:22: plans[0].webhook.auth.hmac.secrets: there is no secret; set secret_files or secrets`,
		`config.yaml:6:38: plans[0].webhook.auth.hmac.max_age: "soon" is not a length of time; write a number with its unit, such as 500ms, 10s, 5m, 12h or 30d`,
		`config.yaml:7:25: plans[0].feedback.workers: 0 is out of range; give 1 to 1000`,
		`config.yaml:7:38: plans[0].feedback.coalesce: "1" is not a length of time; write a number with its unit, such as 500ms, 10s, 5m, 12h or 30d`,
		`config.yaml:8:5: plans[1].token: there are no credentials to send feedback with; set token_file, token or project, or feedback: {on: off}`,
		`config.yaml:8:5: plans[1].region: is not set; write the region of the service plan: us, eu, au, br or ca`,
		`config.yaml:8:5: plans[1].webhook.auth: there is no way to verify callbacks; set hmac, basic, header or path_token, or none: true if only Sinch can reach the webhook`,
		`$DLRLOOP_PLANS_0_FEEDBACK_RAT: no key has this variable; did you mean DLRLOOP_PLANS_0_FEEDBACK_RATE?`,
		`$DLRLOOP_PLANS_3_TOKEN: no key has this variable; did you mean DLRLOOP_PLANS_0_TOKEN?`,
		`$DLRLOOP_STORE_RETENTION: store.retention: "1w" is not a length of time; write a number with its unit, such as 500ms, 10s, 5m, 12h or 30d`,
	}, strings.Split(got, "\n"))
	require.Equal(t, "    regoin: ***", problems[1].Source)
	require.Equal(t, "    token_file: gone", problems[2].Source)
	require.Equal(t, "log: {level: loud}", problems[0].Source)
}

func TestWhyAFileCannotBeReadIsToldInPlainWords(t *testing.T) {
	for want, err := range map[string]error{
		"there is no such file; make one":                           &fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT},
		"permission denied; let the user that runs dlrloop read it": &fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES},
		"input/output error":                                        &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO},
		"is a folder; name a file in it":                            errIsFolder,
	} {
		require.Equal(t, want, unreadable(err, "make one"))
	}
}
