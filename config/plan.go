package config

import (
	"time"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// Plan is one Sinch service plan: how dlrloop calls its API, verifies its callbacks and sends its feedback.
type Plan struct {
	// The service plan id. It is part of the webhook's URL, `/webhooks/{id}`.
	ID string `yaml:"id"`
	// The region of the plan: `us`, `eu`, `au`, `br` or `ca`.
	Region string `yaml:"region"`
	// The base URL of the API instead of a region, for example `http://127.0.0.1:9200` for a simulator. `/xms/v1` at
	// its end, with or without the id, is ignored.
	BaseURL string `yaml:"base_url"`
	// The API token of the service plan.
	Token Secret `yaml:"token"`
	// A file that holds the API token.
	TokenFile string      `yaml:"token_file"`
	Project   Project     `yaml:"project"`
	Webhook   Webhook     `yaml:"webhook"`
	Feedback  Feedback    `yaml:"feedback"`
	Gateway   PlanGateway `yaml:"gateway"`
	Reconcile Reconcile   `yaml:"reconcile"`
}

// Callable reports whether the plan has credentials to call Sinch: an API token or a project's access key.
func (p Plan) Callable() bool { return p.Token != "" || p.Project.Used() }

// Project is an access key of a Sinch project. A plan in the region `us` or `eu` can use it instead of the API token.
type Project struct {
	// The project id.
	ID string `yaml:"id"`
	// The id of the access key.
	KeyID string `yaml:"key_id"`
	// The secret of the access key.
	KeySecret Secret `yaml:"key_secret"`
	// A file that holds the secret of the access key.
	KeySecretFile string `yaml:"key_secret_file"`
}

// Used reports whether any field is set, which means that the plan calls Sinch with this access key.
func (p Project) Used() bool { return p != Project{} }

// Webhook configures how dlrloop receives the plan's callbacks, the requests by which Sinch delivers reports.
type Webhook struct {
	Auth Auth `yaml:"auth"`
}

// Auth configures how callbacks are verified. A callback must pass every method that is set. Without a method the
// configuration is invalid, unless `none` is true. A method that has several secrets accepts any of them, so that a
// secret can be rotated without rejecting a callback.
type Auth struct {
	HMAC HMAC `yaml:"hmac"`
	// HTTP Basic: the user names and passwords that are accepted.
	Basic     []Basic   `yaml:"basic"`
	Header    Header    `yaml:"header"`
	PathToken PathToken `yaml:"path_token"`
	// Accept callbacks without verification. Use it only if the network lets nobody but Sinch reach the webhook: a
	// caller can forge reports, which also cause feedback.
	None bool `yaml:"none"`
	// The answer to a callback that fails verification: `retry` (503: Sinch retries it for about a day, so a wrong
	// secret here only costs a delay) or `reject` (401: Sinch never sends it again).
	OnFailure webhook.OnFailure `yaml:"on_failure"`
}

// Webhook converts the configuration to the type of package handlers/webhook, which verifies callbacks. The result has
// the secrets in plain text.
func (a Auth) Webhook() webhook.Auth {
	return webhook.Auth{
		HMAC:       webhook.HMAC{Secrets: Reveal(a.HMAC.Secrets), MaxAge: time.Duration(a.HMAC.MaxAge)},
		Basic:      Access(a.Basic),
		Header:     webhook.Header{Name: a.Header.Name, Values: Reveal(a.Header.Values)},
		PathTokens: Reveal(a.PathToken.Values),
		None:       a.None,
	}
}

// HMAC verifies callbacks by Sinch's signature of the body. The signature is made with a secret that Sinch and dlrloop
// share.
type HMAC struct {
	// The secrets. A signature by any of them is accepted.
	Secrets []Secret `yaml:"secrets"`
	// Files that hold one secret each.
	SecretFiles []string `yaml:"secret_files"`
	// The maximum age of a signature; `0` means any age. It is not known whether Sinch signs a callback again when it
	// retries: less than a day may reject retries.
	MaxAge Duration `yaml:"max_age" range:"0|1m..365d"`
}

// Header verifies callbacks by an HTTP header that you have configured at Sinch.
type Header struct {
	// The header's name.
	Name string `yaml:"name"`
	// The accepted values.
	Values []Secret `yaml:"values"`
	// Files that hold one accepted value each.
	ValueFiles []string `yaml:"value_files"`
}

// PathToken verifies callbacks by a secret at the end of their URL, `/webhooks/{id}/{token}`. Use it only if the plan
// supports no other method, because proxies log URLs.
type PathToken struct {
	// The accepted tokens.
	Values []Secret `yaml:"values"`
	// Files that hold one accepted token each.
	ValueFiles []string `yaml:"value_files"`
}

// Feedback configures delivery feedback, by which dlrloop tells Sinch that recipients have received their message.
type Feedback struct {
	// What earns feedback: `delivered` (a report of the recipient with status Delivered), `confirmed` (the
	// application sends the gateway the feedback call that it would send to Sinch), `both` (either), or nothing:
	// `off`. With `delivered` the application may send confirmations too.
	On store.On `yaml:"on"`
	// Which batches want feedback. `known`: the gateway or the application says whether a batch is sent with
	// `feedback_enabled`; for every other batch dlrloop asks Sinch. `all`: your team states that every batch of the
	// plan is sent with `feedback_enabled`, so dlrloop does not ask Sinch.
	Batches Batches `yaml:"batches"`
	// How long recipients of a batch are collected for one call.
	Coalesce Duration `yaml:"coalesce" range:"0s..1d"`
	// The number of batches whose feedback each replica sends at the same time.
	Workers int `yaml:"workers" range:"1..1000"`
	// The maximum number of calls per second, of all replicas together. Calls start at this rate. It halves when
	// Sinch answers 429 or 5xx or does not answer in time, and then recovers.
	Rate float64 `yaml:"rate" range:"0.01..10000"`
	// How long a failing task is retried before it is dead. An operator can requeue it.
	GiveUp  Duration `yaml:"give_up" range:"1m..365d"`
	Backoff Backoff  `yaml:"backoff"`
	// The time limit of one call.
	Timeout Duration `yaml:"timeout" range:"100ms..10m"`
}

// Batches says for which batches of a plan dlrloop sends delivery feedback to Sinch: KnownBatches or AllBatches.
type Batches string

// The values of Batches. They differ for a batch if dlrloop does not know whether the batch has feedback enabled. With
// KnownBatches, dlrloop then asks Sinch, and sends feedback only if it is enabled. With AllBatches, dlrloop does not
// ask, and sends feedback.
const (
	KnownBatches Batches = "known" // those with feedback_enabled according to the gateway, the application or Sinch
	AllBatches   Batches = "all"   // all but those that are known to lack feedback_enabled
)

// Backoff is the wait after a failed attempt: a random time up to a maximum. The maximum is `base` after the first
// failure, and doubles with every further failure up to `cap`. The backoff of a plan's feedback also applies after a
// failed attempt to fetch missing reports of the plan from Sinch.
type Backoff struct {
	// The maximum wait after the first failure.
	Base Duration `yaml:"base" range:"1ms..1h"`
	// The maximum wait after any failure.
	Cap Duration `yaml:"cap" range:"1ms..1d"`
}

// Relay converts the configuration to relay.Backoff, the type of the package that sends the feedback.
func (b Backoff) Relay() relay.Backoff {
	return relay.Backoff{Base: time.Duration(b.Base), Cap: time.Duration(b.Cap)}
}

// PlanGateway configures how the gateway, the proxy for your applications, calls Sinch for the plan.
type PlanGateway struct {
	// The token for calls to Sinch: `caller` (the caller's own, which Sinch checks) or `plan` (the plan's; callers
	// then need one of `private.credentials`, and no application needs a token of Sinch).
	Token GatewayToken `yaml:"token"`
}

// GatewayToken says whose API token the gateway sends to Sinch: CallerToken or PlanToken.
type GatewayToken string

// The values of GatewayToken. With CallerToken the gateway passes the caller's own API token on to Sinch. With
// PlanToken it uses the credentials of the plan instead.
const (
	CallerToken GatewayToken = "caller" // the caller's own
	PlanToken   GatewayToken = "plan"   // the plan's
)

// Reconcile configures when dlrloop fetches the missing reports of a batch. To do so, it reads from Sinch the batch's
// full report, which lists all recipients by status. This needs the plan's credentials.
type Reconcile struct {
	// Read after no report of the batch has arrived for this long. The time doubles after each read that brings
	// nothing new. `0s`: never read.
	Silence Duration `yaml:"silence" range:"0|1s..365d"`
	// How long after a batch has expired its last reports may arrive. dlrloop then reads once more.
	Grace Duration `yaml:"grace" range:"0s..365d"`
	// The maximum number of reports read per second, by all replicas together.
	Rate float64 `yaml:"rate" range:"0.01..10000"`
}
