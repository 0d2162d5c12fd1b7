package config

import (
	"strings"
	"testing"
)

func TestEachProblemOfAPlanHasPlaceKeyAndFix(t *testing.T) {
	full := planWith(region, apiToken, anyCaller)
	requireProblems(t, map[string]problemCase{
		"no id": {
			"plans:\n  - region: eu\n    token: t\n    webhook: {auth: {none: true}}\n",
			"config.yaml:2:5: plans[0].id: is not set; copy the service plan id from Sinch's dashboard",
		},
		"id with slash": {
			strings.Replace(full, "plan-a", "a/b", 1),
			`config.yaml:2:9: plans[0].id: "a/b" cannot be part of a URL's path; copy the service plan id from Sinch's ` +
				`dashboard`,
		},
		"same id": {
			full + "  - {id: plan-a, region: us, token: t, webhook: {auth: {none: true}}}\n",
			`config.yaml:6:10: plans[1].id: "plan-a" is already the id of plans[0]; list each plan once`,
		},
		"no region": {
			planWith(apiToken, anyCaller),
			"config.yaml:2:5: plans[0].region: is not set; write the region of the service plan: us, eu, au, br or ca",
		},
		"unknown region": {
			planWith("region: mars", apiToken, anyCaller),
			`config.yaml:3:13: plans[0].region: "mars" is not a valid value; use us, eu, au, br or ca`,
		},
		"region and base_url": {
			planWith(region, "base_url: http://127.0.0.1", apiToken, anyCaller),
			"config.yaml:4:15: plans[0].base_url: plans[0].region is set too; keep one of the two",
		},
		"base_url": {
			planWith("base_url: \"ftp://sinch\"", apiToken, anyCaller),
			"config.yaml:3:15: plans[0].base_url: is not an http or https URL; write scheme and host, such as " +
				"https://dlr.example.com",
		},
		"no credentials": {
			planWith(region, anyCaller),
			"config.yaml:2:5: plans[0].token: no credentials for sending feedback are set; set token_file, token or " +
				"project, or feedback: {on: off}",
		},
		"token twice": {
			planWith(region, apiToken, "token_file: full", anyCaller),
			"config.yaml:5:17: plans[0].token_file: plans[0].token is set too; keep one of the two",
		},
		"token and project": {
			planWith(region, apiToken, "project: {id: p, key_id: k, key_secret: s}", anyCaller),
			"config.yaml:5:5: plans[0].project: plans[0].token is set too; keep one of the two",
		},
		"half a project": {
			planWith(region, "project: {key_id: k}", anyCaller),
			"config.yaml:4:5: plans[0].project.id: is not set; a project needs id, key_id and key_secret_file\n" +
				"config.yaml:4:5: plans[0].project.key_secret: no access key secret is set; set key_secret_file or key_secret",
		},
		"another half": {
			planWith(region, "project: {id: a b, key_secret: x}", anyCaller),
			"config.yaml:4:5: plans[0].project.key_id: is not set; a project needs id, key_id and key_secret_file\n" +
				`config.yaml:4:19: plans[0].project.id: "a b" cannot be part of a URL's path; copy the project id from ` +
				`Sinch's dashboard`,
		},
		"project elsewhere": {
			planWith("region: br", "project: {id: p, key_id: k, key_secret: s}", anyCaller),
			"config.yaml:3:13: plans[0].region: a project's access key works only in us and eu; use the service " +
				"plan's API token",
		},

		"token file gone": {
			planWith(region, "token_file: gone", anyCaller),
			"config.yaml:4:17: plans[0].token_file: gone: there is no such file; put the secret there, or name another file",
		},
		"token file empty": {
			planWith(region, "token_file: empty", anyCaller),
			"config.yaml:4:17: plans[0].token_file: empty: the file is empty; put the secret there",
		},
		"token file a directory": {
			planWith(region, "token_file: dir", anyCaller),
			"config.yaml:4:17: plans[0].token_file: dir: is a directory; name a file",
		},
		"token as a file's name": {
			planWith(region, "token_file: 0123456789abcdef", anyCaller),
			"config.yaml:4:17: plans[0].token_file: there is no such file, and the value looks like the secret itself; " +
				"set the key without _file, or put the secret into a file",
		},
		"two lines": {
			planWith(region, "token_file: lines", anyCaller),
			"config.yaml:4:17: plans[0].token_file: lines: contains a line break or a control character; a secret is a " +
				"single line of text",
		},
		"no name of a file": {
			planWith(region, apiToken, "webhook: {auth: {hmac: {secret_files: [\"\"]}}}"),
			"config.yaml:5:44: plans[0].webhook.auth.hmac.secret_files[0]: is empty; remove it, or name the file with " +
				"the secret",
		},
		"space at the end": {
			planWith(region, `token: "tok "`, anyCaller),
			"config.yaml:4:12: plans[0].token: begins or ends with a space; remove it",
		},
		"tab in a token": {
			planWith(region, "token: \"a\\tb\"", anyCaller),
			"config.yaml:4:12: plans[0].token: contains a line break or a control character; a secret is a single line of text",
		},

		"no webhook": {planWith(region, apiToken), "config.yaml:2:5: plans[0].webhook.auth: no method to verify " +
			"callbacks is set; set hmac, basic, header or path_token, or none: true if only Sinch can reach the webhook"},
		"no way": {
			planWith(region, apiToken, "webhook: {auth: {on_failure: reject}}"),
			"config.yaml:5:15: plans[0].webhook.auth: no method to verify callbacks is set; set hmac, basic, header or " +
				"path_token, or none: true if only Sinch can reach the webhook",
		},
		"none and more": {
			planWith(region, apiToken, "webhook: {auth: {none: true, hmac: {secrets: [s]}}}"),
			"config.yaml:5:28: plans[0].webhook.auth.none: accepts callbacks unverified, but a method to verify them is " +
				"also set; keep one of the two",
		},
		"on_failure": {
			planWith(region, apiToken, "webhook: {auth: {none: true, on_failure: drop}}"),
			`config.yaml:5:46: plans[0].webhook.auth.on_failure: "drop" is not a valid value; use retry or reject`,
		},
		"hmac alone": {
			planWith(region, apiToken, "webhook: {auth: {hmac: {}}}"),
			"config.yaml:5:22: plans[0].webhook.auth.hmac.secrets: no secret is set; set secret_files or secrets",
		},
		"hmac nothing": {
			planWith(region, apiToken, "webhook: {auth: {hmac: }}"),
			"config.yaml:5:22: plans[0].webhook.auth.hmac.secrets: no secret is set; set secret_files or secrets",
		},
		"header alone": {
			planWith(region, apiToken, "webhook: {auth: {header: {name: X-A}}}"),
			"config.yaml:5:22: plans[0].webhook.auth.header.values: no secret is set; set value_files or values",
		},
		"header values": {
			planWith(region, apiToken, "webhook: {auth: {header: {values: [x]}}}"),
			"config.yaml:5:22: plans[0].webhook.auth.header.name: is not set; name the header that Sinch is configured to send",
		},
		"header of HTTP": {
			planWith(region, apiToken, "webhook: {auth: {header: {name: Host, values: [x]}}}"),
			`config.yaml:5:37: plans[0].webhook.auth.header.name: "Host" is reserved by HTTP and cannot carry a secret; ` +
				`choose another header`,
		},
		"header name": {
			planWith(region, apiToken, "webhook: {auth: {header: {name: X A, values: [x]}}}"),
			`config.yaml:5:37: plans[0].webhook.auth.header.name: "X A" is not a valid header name; use letters, digits and -`,
		},
		"path token": {
			planWith(region, apiToken, "webhook: {auth: {path_token: {values: [a/b]}}}"),
			"config.yaml:5:22: plans[0].webhook.auth.path_token: a token has characters that a URL's path does not " +
				"allow; use letters, digits, - and _",
		},
		"no path token": {
			planWith(region, apiToken, "webhook: {auth: {path_token: {values: []}}}"),
			"config.yaml:5:35: plans[0].webhook.auth.path_token.values: no secret is set; set value_files or values",
		},
		"hook password": {
			planWith(region, apiToken, "webhook: {auth: {basic: [{username: u}]}}"),
			"config.yaml:5:30: plans[0].webhook.auth.basic[0].password: no password is set; set password or password_file",
		},
		"batches": {
			planWith(region, apiToken, anyCaller, "feedback: {batches: some}"),
			`config.yaml:6:25: plans[0].feedback.batches: "some" is not a valid value; use known or all`,
		},
		"feedback on": {
			planWith(region, apiToken, anyCaller, "feedback: {on: always}"),
			`config.yaml:6:20: plans[0].feedback.on: "always" is not a valid value; use delivered, confirmed, both or off`,
		},
		"workers": {
			planWith(region, apiToken, anyCaller, "feedback: {workers: -1}"),
			"config.yaml:6:25: plans[0].feedback.workers: -1 is out of range; allowed: 1 to 1000",
		},
		"workers, words": {
			planWith(region, apiToken, anyCaller, "feedback: {workers: many}"),
			`config.yaml:6:25: plans[0].feedback.workers: "many" is not a whole number`,
		},
		"rate": {
			planWith(region, apiToken, anyCaller, "feedback: {rate: 0}"),
			"config.yaml:6:22: plans[0].feedback.rate: 0 is out of range; allowed: 0.01 to 10000",
		},
		"rate, words": {
			planWith(region, apiToken, anyCaller, "feedback: {rate: .nan}"),
			`config.yaml:6:22: plans[0].feedback.rate: ".nan" is not a number`,
		},
		"give_up": {
			planWith(region, apiToken, anyCaller, "feedback: {give_up: 0s}"),
			"config.yaml:6:25: plans[0].feedback.give_up: 0s is out of range; allowed: 1m to 365d",
		},
		"timeout": {
			planWith(region, apiToken, anyCaller, "feedback: {timeout: 0s}"),
			"config.yaml:6:25: plans[0].feedback.timeout: 0s is out of range; allowed: 100ms to 10m",
		},
		"backoff": {
			planWith(region, apiToken, anyCaller, "feedback: {backoff: {base: 1m, cap: 1s}}"),
			"config.yaml:6:41: plans[0].feedback.backoff.cap: is less than base; the cap is the longest wait",
		},

		"defaults, no URL": {
			full + "gateway: {defaults: true}\n",
			"config.yaml:6:21: gateway.defaults: is set, but public.url is not, which the callback_url of batches " +
				"needs; set public.url to where Sinch reaches the webhook, or set gateway.defaults to false",
		},
		"gateway body": {
			full + "gateway: {max_body: 0}\n",
			"config.yaml:6:21: gateway.max_body: 0 is out of range; allowed: 16KiB to 256MiB",
		},
		"gateway memory": {
			full + "gateway: {max_body: 1GiB}\n",
			"config.yaml:6:21: gateway.max_body: 1GiB is out of range; allowed: 16KiB to 256MiB",
		},
		"gateway port": {
			full + "gateway: {listen: 8082}\n",
			`config.yaml:6:19: gateway.listen: "8082" is not an address to listen on; write host:port, such as ":8080" ` +
				`or "127.0.0.1:8080"`,
		},
		"gateway, public": {
			full + "gateway: {listen: \"127.0.0.1:8080\"}\n",
			`config.yaml:6:19: gateway.listen: "127.0.0.1:8080" conflicts with public.listen, ":8080"; change one of the ports`,
		},
		"gateway, private": {
			full + "gateway: {listen: \"localhost:8081\"}\nprivate: {listen: \"localhost:8081\"}\n",
			`config.yaml:6:19: gateway.listen: "localhost:8081" conflicts with private.listen, "localhost:8081"; change ` +
				`one of the ports`,
		},
		"gateway TLS, no listener": {
			full + "gateway: {tls: {cert_file: c.pem, key_file: k.pem}}\n",
			"config.yaml:6:11: gateway.tls: is set, but gateway.listen is not; the private listener, which then serves " +
				"the gateway, has no TLS: set gateway.listen, or remove gateway.tls",
		},
		"gateway certificate": {
			full + "gateway: {listen: \"127.0.0.1:1\", tls: {cert_file: c.pem}}\n",
			"config.yaml:6:34: gateway.tls.key_file: is not set, but cert_file is; HTTPS needs both",
		},
		"gateway token": {
			planWith(region, apiToken, anyCaller, "gateway: {token: mine}"),
			`config.yaml:6:22: plans[0].gateway.token: "mine" is not a valid value; use caller or plan`,
		},
		"plan's token for anybody": {
			planWith(region, apiToken, anyCaller, "gateway: {token: plan}"),
			"config.yaml:6:22: plans[0].gateway.token: plan lets everyone who reaches the gateway, even from this " +
				"machine, send at your cost; set private.credentials, which callers then need, or gateway: {token: caller}",
		},
		"plan's token, none": {
			planWith(region, anyCaller, "feedback: {on: off}", "gateway: {token: plan}") +
				"private: {credentials: {tokens: [t]}}\n",
			"config.yaml:6:22: plans[0].gateway.token: plan needs credentials of the plan, but none are set; set " +
				"token_file, token or project, or gateway: {token: caller}",
		},
		"reconcile rate": {
			planWith(region, apiToken, anyCaller, "reconcile: {rate: 0}"),
			"config.yaml:6:23: plans[0].reconcile.rate: 0 is out of range; allowed: 0.01 to 10000",
		},
		"reconcile silence": {
			planWith(region, apiToken, anyCaller, "reconcile: {silence: -1h}"),
			"config.yaml:6:26: plans[0].reconcile.silence: must not be negative",
		},
	})
}
