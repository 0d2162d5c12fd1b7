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

// refused loads content as config.yaml in a directory with these files. Load must fail; refused returns its problems
// as text, without the directory's name, and as values.
func refused(t *testing.T, content string, files map[string]string, environ ...string) (string, Problems) {
	t.Helper()
	dir := writeFiles(t, files)
	path := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	c, err := Load(path, environ)
	require.Nil(t, c)
	var problems Problems
	require.ErrorAs(t, err, &problems)
	return strings.ReplaceAll(err.Error(), dir+"/", ""), problems
}

// planWith returns a configuration with one plan that has these lines, from line 3 on.
func planWith(lines ...string) string {
	return "plans:\n  - id: plan-a\n    " + strings.Join(lines, "\n    ") + "\n"
}

const (
	region    = "region: eu"
	apiToken  = "token: tok-a"
	anyCaller = "webhook: {auth: {none: true}}"
)

// problemCase is a configuration that Load rejects, with the text of its problems.
type problemCase struct{ file, want string }

// requireProblems loads each case next to some files of secrets.
func requireProblems(t *testing.T, cases map[string]problemCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, _ := refused(t, c.file, map[string]string{"empty": "\n", "full": "tok", "lines": "a\nb\n", "dir/x": ""})
			require.Equal(t, c.want, got)
		})
	}
}

func TestEachProblemHasPlaceKeyAndFix(t *testing.T) {
	full := planWith(region, apiToken, anyCaller)
	requireProblems(t, map[string]problemCase{
		"unknown key": {full + "publik: {}\n", "config.yaml:6:1: publik: unknown key; did you mean public?"},
		"unknown key in plan": {
			planWith("regoin: eu", apiToken, anyCaller),
			"config.yaml:3:5: plans[0].regoin: unknown key; did you mean region?",
		},
		"unknown key, nothing near": {
			full + "log: {color: true}\n",
			"config.yaml:6:7: log.color: unknown key; known keys: level, format",
		},
		"key in capitals": {full + "Log: {level: info}\n", "config.yaml:6:1: Log: unknown key; did you mean log?"},
		"no word": {
			full + "log: {s3cr3t text}\n",
			"config.yaml:6:7: log: this is not a key; write a key, a colon, a space and the value; known keys: level, format",
		},
		"set twice": {
			planWith(region, apiToken, anyCaller, region),
			"config.yaml:6:5: plans[0].region: is set twice; the first time on line 3",
		},
		"text for a block": {full + "log: info\n", "config.yaml:6:6: log: must be a block of keys: level, format"},
		"text for a list": {
			full + "public: {trusted_proxies: 10.0.0.1}\n",
			`config.yaml:6:27: public.trusted_proxies: must be a list: each entry on a line of its own after "- ", or ` +
				`all in [ ]`,
		},
		"list for text": {
			full + "log: {level: [info]}\n",
			"config.yaml:6:14: log.level: must be a single value, not a list or a block of keys",
		},
		"block for a list": {"plans:\n  plan-a: {}\n", `config.yaml:2:3: plans: must be a list: each entry on a ` +
			`line of its own after "- ", or all in [ ]`},
		"second document": {
			full + "---\nlog: {level: info}\n",
			"config.yaml:7:1: a second document begins here; put everything into the first",
		},
		"a list as a whole": {"- a\n", "config.yaml:1:1: must be a block of keys: public, private, gateway, store, " +
			"inbound, events, memory, replica, log, shutdown_delay, shutdown_timeout, plans, destinations"},
		"unknown alias": {full + "log: *other\n", "config.yaml:6:6: log: the alias has no anchor; write &name " +
			"before the value that *name repeats"},
		"alias of itself": {"plans:\n  - &a {<<: *a, id: x}\n", "config.yaml:2:8: plans[0]: an alias contains itself"},
		"not YAML": {"plans:\n\t- id: a\n", "config.yaml:2:1: is not YAML: a tab is not allowed as " +
			"indentation; use spaces"},
		"a space too many": {
			"plans:\n  - id: a\n   region: eu\n",
			"config.yaml:3:4: is not YAML: this indentation matches no line above; start all keys of a block in the " +
				"same column",
		},
		"a space more": {
			"log:\n  level: info\n   format: json\n",
			`config.yaml:2:10: is not YAML: a key is not allowed here; start all keys of a block in the same column, ` +
				`and put a text that contains ": " into quotation marks`,
		},
		"key of a plan": {
			full + "feedback: {on: off}\n",
			"config.yaml:6:1: feedback: unknown key here; it belongs in plans[]",
		},
		"key of blocks": {full + "token: x\n", "config.yaml:6:1: token: unknown key here; it belongs in plans[], " +
			"plans[].gateway or destinations[]"},
		"key of the top": {
			planWith(region, apiToken, anyCaller, "log: {level: info}"),
			"config.yaml:6:5: plans[0].log: unknown key here; it belongs in the top level",
		},
		"UTF-16": {"\xff\xfep\x00", "config.yaml: is UTF-16; save it as UTF-8"},
		"unclosed quote": {
			"log:\n  level: \"info\n",
			"config.yaml:2:10: is not YAML: could not find end character of double-quoted text",
		},
		"nothing": {"", "config.yaml: plans: no plan is set; add your service plan under plans:, or set " +
			"DLRLOOP_PLANS_0_ID and the like"},
		"only a comment": {"# later\n", "config.yaml: plans: no plan is set; add your service plan under plans:, " +
			"or set DLRLOOP_PLANS_0_ID and the like"},
		"no plan": {"plans: []\n", "config.yaml:1:1: plans: no plan is set; add your service plan under " +
			"plans:, or set DLRLOOP_PLANS_0_ID and the like"},

		"no unit": {
			full + "shutdown_delay: 10\n",
			`config.yaml:6:17: shutdown_delay: "10" is not a duration; write a number with a unit, such as 500ms, 10s, ` +
				`5m, 12h or 30d`,
		},
		"negative duration": {full + "shutdown_timeout: -10s\n", "config.yaml:6:19: shutdown_timeout: must not be negative"},
		"no timeout": {
			full + "shutdown_timeout: 0s\n",
			"config.yaml:6:19: shutdown_timeout: 0s is out of range; allowed: 100ms to 1h",
		},
		"no size": {
			full + "public: {max_body: 16 megs}\n",
			`config.yaml:6:20: public.max_body: "16 megs" is not a size; write a whole number with or without a unit, ` +
				`such as 65536, 512KiB, 16MiB or 1GB`,
		},
		"negative size": {full + "public: {max_body: -1}\n", "config.yaml:6:20: public.max_body: must not be negative"},
		"size of 0": {
			full + "public: {max_body: 0}\n",
			"config.yaml:6:20: public.max_body: 0 is out of range; allowed: 16KiB to 256MiB",
		},
		"size of frames": {
			full + "public: {max_body: 268435457, memory: 4GiB}\nmemory: {limit: 8GiB}\n",
			"config.yaml:6:20: public.max_body: 268435457B is out of range; allowed: 16KiB to 256MiB",
		},
		"memory above half": {
			full + "public: {memory: 257MiB}\nmemory: {limit: 512MiB}\n",
			"config.yaml:6:18: public.memory: 257MiB is more than half of memory.limit, 512MiB; raise memory.limit, or " +
				"remove this key to use a quarter of it",
		},
		"body for a limit": {
			full + "public: {max_body: 17MiB}\nmemory: {limit: 256MiB}\n",
			"config.yaml:6:20: public.max_body: 17MiB is too much for memory.limit, 256MiB; set at most 16MiB, or raise " +
				"memory.limit to 272MiB",
		},
		"limit too small": {
			full + "memory: {limit: 63MiB}\n",
			"config.yaml:6:17: memory.limit: 63MiB is out of range; allowed: 0, or 64MiB to 1TiB",
		},
		"memory too small": {
			full + "public: {memory: 63MiB}\nmemory: {limit: 512MiB}\n",
			"config.yaml:6:18: public.memory: 63MiB cannot hold a callback of public.max_body, 16MiB, both compressed " +
				"and decompressed; set at least 4 times public.max_body",
		},
		"no bool": {
			full + "public: {shed_with_429: maybe}\n",
			`config.yaml:6:25: public.shed_with_429: "maybe" is neither true nor false`,
		},
		"port alone": {
			full + "public: {listen: 8080}\n",
			`config.yaml:6:18: public.listen: "8080" is not an address to listen on; write host:port, such as ":8080" ` +
				`or "127.0.0.1:8080"`,
		},
		"no number": {
			full + "private: {listen: \"localhost:http\"}\n",
			`config.yaml:6:19: private.listen: "localhost:http" is not an address to listen on; write host:port, such ` +
				`as ":8080" or "127.0.0.1:8080"`,
		},
		"same port": {
			full + "private: {listen: \"127.0.0.1:8080\"}\n",
			`config.yaml:6:19: private.listen: "127.0.0.1:8080" conflicts with public.listen, ":8080"; change one of the ports`,
		},
		"open private listener": {
			full + "private: {listen: \":8081\"}\n",
			`config.yaml:6:19: private.listen: ":8081" is reachable from the network, and without credentials everyone ` +
				`there has full access; set private.credentials, or listen on 127.0.0.1`,
		},
		"proxy": {
			full + "public: {trusted_proxies: [10.0.0.1, proxy]}\n",
			`config.yaml:6:38: public.trusted_proxies[1]: "proxy" is neither an IP address nor a network; write ` +
				`10.0.0.7 or 10.0.0.0/8`,
		},
		"URL without scheme": {
			full + "public: {url: dlr.example.com}\n",
			"config.yaml:6:15: public.url: is not an http or https URL; write scheme and host, such as https://dlr.example.com",
		},
		"URL with more": {
			full + "public: {url: \"https://a:b@c\"}\n",
			"config.yaml:6:15: public.url: has more than scheme, host and path; leave out user name, password, ? and #",
		},
		"certificate alone": {
			full + "public: {tls: {cert_file: c.pem}}\n",
			"config.yaml:6:10: public.tls.key_file: is not set, but cert_file is; HTTPS needs both",
		},
		"key alone": {
			full + "public: {tls: {key_file: k.pem}}\n",
			"config.yaml:6:10: public.tls.cert_file: is not set, but key_file is; HTTPS needs both",
		},
		"no certificate": {
			full + "public: {tls: {cert_file: c.pem, key_file: empty}}\n",
			"config.yaml:6:27: public.tls.cert_file: c.pem: there is no such file; name the file with the certificate",
		},
		"no key": {
			full + "public: {tls: {cert_file: empty, key_file: k.pem}}\n",
			"config.yaml:6:44: public.tls.key_file: k.pem: there is no such file; name the file with the private key",
		},
		"wrong certificate": {
			full + "public: {tls: {cert_file: empty, key_file: empty}}\n",
			"config.yaml:6:27: public.tls.cert_file: cannot use certificate and key: tls: failed to find any PEM data " +
				"in certificate input",
		},
		"user without name": {
			full + "private: {credentials: {basic: [{password: x}]}}\n",
			"config.yaml:6:33: private.credentials.basic[0].username: is not set; an entry needs a username and a password",
		},
		"colon in user name": {
			full + "private: {credentials: {basic: [{username: \"a:b\", password: x}]}}\n",
			"config.yaml:6:44: private.credentials.basic[0].username: contains a colon, which HTTP Basic does not " +
				"allow; choose another",
		},
		"user, no password": {
			full + "private: {credentials: {basic: [{username: ada}]}}\n",
			"config.yaml:6:33: private.credentials.basic[0].password: no password is set; set password or password_file",
		},
		"empty token": {
			full + "private: {credentials: {tokens: [\"\"]}}\n",
			"config.yaml:6:34: private.credentials.tokens[0]: is empty; remove it, or write the secret",
		},

		"unknown store": {
			full + "store: {driver: mysql}\n",
			`config.yaml:6:17: store.driver: "mysql" is not a valid value; use bolt or postgres`,
		},
		"no store path": {
			full + "store: {path: \"\"}\n",
			"config.yaml:6:15: store.path: is empty; name the directory of the store",
		},
		"no retention": {
			full + "store: {retention: 0s}\n",
			"config.yaml:6:20: store.retention: 0s is out of range; allowed: 1h to 18250d",
		},
		"retention": {
			full + "store: {retention: 3d}\n",
			"config.yaml:6:20: store.retention: 3d is too short: feedback of plans[0] is retried for 3d " +
				"(feedback.give_up), and dead feedback must be kept for a day; set at least 4d",
		},
		"unknown log level": {
			full + "log: {level: verbose}\n",
			`config.yaml:6:14: log.level: "verbose" is not a valid value; use debug, info, warn or error`,
		},
		"log format": {
			full + "log: {format: logfmt}\n",
			`config.yaml:6:15: log.format: "logfmt" is not a valid value; use auto, json or text`,
		},
	})
}

func TestAllProblemsAreReportedInTheOrderOfTheFile(t *testing.T) {
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
		`config.yaml:1:14: log.level: "loud" is not a valid value; use debug, info, warn or error`,
		`config.yaml:4:5: plans[0].regoin: unknown key; did you mean region?`,
		`config.yaml:5:17: plans[0].token_file: gone: there is no such file; put the secret there, or name another file`,
		`config.yaml:6:22: plans[0].webhook.auth.hmac.secrets: no secret is set; set secret_files or secrets`,
		`config.yaml:6:38: plans[0].webhook.auth.hmac.max_age: "soon" is not a duration; write a number with a unit, ` +
			`such as 500ms, 10s, 5m, 12h or 30d`,
		`config.yaml:7:25: plans[0].feedback.workers: 0 is out of range; allowed: 1 to 1000`,
		`config.yaml:7:38: plans[0].feedback.coalesce: "1" is not a duration; write a number with a unit, such as ` +
			`500ms, 10s, 5m, 12h or 30d`,
		`config.yaml:8:5: plans[1].token: no credentials for sending feedback are set; set token_file, token or ` +
			`project, or feedback: {on: off}`,
		`config.yaml:8:5: plans[1].region: is not set; write the region of the service plan: us, eu, au, br or ca`,
		`config.yaml:8:5: plans[1].webhook.auth: no method to verify callbacks is set; set hmac, basic, header or ` +
			`path_token, or none: true if only Sinch can reach the webhook`,
		`$DLRLOOP_PLANS_0_FEEDBACK_RAT: unknown variable; did you mean DLRLOOP_PLANS_0_FEEDBACK_RATE?`,
		`$DLRLOOP_PLANS_3_TOKEN: unknown variable; did you mean DLRLOOP_PLANS_0_TOKEN?`,
		`$DLRLOOP_STORE_RETENTION: store.retention: "1w" is not a duration; write a number with a unit, such as ` +
			`500ms, 10s, 5m, 12h or 30d`,
	}, strings.Split(got, "\n"))
	require.Equal(t, "    regoin: ***", problems[1].Source)
	require.Equal(t, "    token_file: gone", problems[2].Source)
	require.Equal(t, "log: {level: loud}", problems[0].Source)
}

func TestReadError(t *testing.T) {
	for want, err := range map[string]error{
		"there is no such file; create one":                               &fs.PathError{Op: "open", Err: syscall.ENOENT},
		"permission denied; grant the user that runs dlrloop read access": &fs.PathError{Op: "open", Err: syscall.EACCES},
		"input/output error":                                              &fs.PathError{Op: "read", Err: syscall.EIO},
		"is a directory; name a file":                                     errIsDir,
	} {
		require.Equal(t, want, readError(err, "create one"))
	}
}
