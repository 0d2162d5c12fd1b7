package config

import "github.com/dlrloop/dlrloop/store"

// Plan is one Sinch service plan: how to reach it, how its callbacks are verified, and how feedback is sent.
type Plan struct {
	// The service plan id. It is part of the webhook's URL: `/webhooks/{id}`.
	ID string `yaml:"id"`
	// Where the plan lives: `us`, `eu`, `au`, `br` or `ca`.
	Region string `yaml:"region"`
	// The origin of the API instead of a region, such as `http://127.0.0.1:9200` for a simulator. `/xms/v1` at its end, alone or
	// with the id, changes nothing.
	BaseURL string `yaml:"base_url"`
	// The API token of the service plan.
	Token Secret `yaml:"token"`
	// A file with the API token.
	TokenFile string      `yaml:"token_file"`
	Project   Project     `yaml:"project"`
	Webhook   Webhook     `yaml:"webhook"`
	Feedback  Feedback    `yaml:"feedback"`
	Gateway   PlanGateway `yaml:"gateway"`
	Reconcile Reconcile   `yaml:"reconcile"`
}

// Callable reports whether there are credentials to call Sinch with.
func (p Plan) Callable() bool { return p.Token != "" || p.Project.Used() }

// Project is an access key of a Sinch project, used instead of the API token, in `us` and `eu`.
type Project struct {
	// The project id.
	ID string `yaml:"id"`
	// The id of the access key.
	KeyID string `yaml:"key_id"`
	// The secret of the access key.
	KeySecret Secret `yaml:"key_secret"`
	// A file with the secret of the access key.
	KeySecretFile string `yaml:"key_secret_file"`
}

// Used reports whether the project's access key is what the plan is called with.
func (p Project) Used() bool { return p != Project{} }

// Webhook is the plan's entrance for callbacks.
type Webhook struct {
	Auth Auth `yaml:"auth"`
}

// Auth says how callbacks are verified. Set the ways that your service plan uses: each that is set must verify. Of several
// secrets of one way any one does, so that a secret can be changed without a callback refused.
type Auth struct {
	HMAC HMAC `yaml:"hmac"`
	// HTTP Basic: the user names and passwords that Sinch may use.
	Basic     []Basic   `yaml:"basic"`
	Header    Header    `yaml:"header"`
	PathToken PathToken `yaml:"path_token"`
	// Take callbacks unverified. Only where the network keeps everybody but Sinch out: whoever reaches the webhook can
	// invent reports, and with them feedback.
	None bool `yaml:"none"`
	// What a callback that does not verify is answered: `retry` (503: Sinch repeats it for about a day, so that a wrong secret
	// here costs a delay) or `reject` (401: Sinch never sends it again).
	OnFailure OnFailure `yaml:"on_failure"`
}

// Any reports whether callbacks are verified in some way.
func (a Auth) Any() bool {
	return len(a.HMAC.Secrets)+len(a.HMAC.SecretFiles)+len(a.Basic)+len(a.Header.Values)+len(a.Header.ValueFiles)+
		len(a.PathToken.Values)+len(a.PathToken.ValueFiles) > 0
}

// OnFailure says how a callback that does not verify is answered.
type OnFailure string

// The answers.
const (
	Retry  OnFailure = "retry"  // 503: Sinch repeats it for about a day
	Reject OnFailure = "reject" // 401: Sinch never sends it again
)

// HMAC verifies Sinch's signature of the body.
type HMAC struct {
	// The secrets, as text: any of them may have signed.
	Secrets []Secret `yaml:"secrets"`
	// Files with a secret each.
	SecretFiles []string `yaml:"secret_files"`
	// How old a signature may be; 0 means any age. Whether Sinch signs anew when it repeats a callback is not known: less
	// than a day may refuse its repeats.
	MaxAge Duration `yaml:"max_age" range:"0|1m..365d"`
}

// Header verifies a header that Sinch was asked to send.
type Header struct {
	// The header's name.
	Name string `yaml:"name"`
	// The values that are accepted.
	Values []Secret `yaml:"values"`
	// Files with an accepted value each.
	ValueFiles []string `yaml:"value_files"`
}

// PathToken verifies the last segment of the URL, `/webhooks/{id}/{token}`: for plans that can do nothing else. URLs show
// up in the logs of proxies.
type PathToken struct {
	// The tokens that are accepted.
	Values []Secret `yaml:"values"`
	// Files with an accepted token each.
	ValueFiles []string `yaml:"value_files"`
}

// Feedback says what earns delivery feedback and how it is sent.
type Feedback struct {
	// What earns it: `delivered` (the recipient's report says Delivered), `confirmed` (your application says so, by the same call
	// to the gateway that it would make to Sinch), `both` (either), or nothing: `off`. The application may confirm with `delivered` too.
	On store.On `yaml:"on"`
	// Which batches want feedback. `known`: a batch is sent with `feedback_enabled` if the gateway or your application said so, and Sinch is
	// asked for every other batch. `all`: your team states that every batch of the plan is sent with `feedback_enabled`, so Sinch is not asked.
	Batches Batches `yaml:"batches"`
	// How long recipients of a batch are gathered for one call.
	Coalesce Duration `yaml:"coalesce" range:"0s..1d"`
	// Batches whose feedback is sent at the same time, by each replica.
	Workers int `yaml:"workers" range:"1..1000"`
	// The most calls a second, of all replicas together. Calls start at this rate; it halves when Sinch answers 429 or 5xx, or in no time, and
	// recovers.
	Rate float64 `yaml:"rate" range:"0.01..10000"`
	// How long a failing task is tried before it is parked as dead, until a person requeues it.
	GiveUp  Duration `yaml:"give_up" range:"1m..365d"`
	Backoff Backoff  `yaml:"backoff"`
	// How long one call may take.
	Timeout Duration `yaml:"timeout" range:"100ms..10m"`
}

// Batches says which batches of a plan want feedback.
type Batches string

// The batches.
const (
	KnownBatches Batches = "known" // those that the gateway, the application or Sinch says want it
	AllBatches   Batches = "all"   // all but those that are known not to
)

// Backoff is how long a failed task waits: a random time up to the base, doubled with every attempt, up to the cap.
type Backoff struct {
	// The wait after the first failure, at most.
	Base Duration `yaml:"base" range:"1ms..1h"`
	// The longest wait.
	Cap Duration `yaml:"cap" range:"1ms..1d"`
}

// PlanGateway says how the gateway calls Sinch for the plan.
type PlanGateway struct {
	// Whose token it calls with: `caller` (the caller's own, passed through and checked by Sinch) or `plan` (the plan's: callers
	// then need a credential of `private.credentials`, and no application needs Sinch's).
	Token GatewayToken `yaml:"token"`
}

// GatewayToken says whose token the gateway calls Sinch with.
type GatewayToken string

// The tokens.
const (
	CallerToken GatewayToken = "caller" // the caller's own
	PlanToken   GatewayToken = "plan"   // the plan's
)

// Reconcile says when Sinch is asked for reports whose callbacks did not come. It needs the plan's credentials.
type Reconcile struct {
	// How long no report of a batch came that lacks some; doubled each time that Sinch was asked in vain. `0s`: Sinch is never
	// asked.
	Silence Duration `yaml:"silence" range:"0|1s..365d"`
	// How long after its expiry the last reports of a batch may take.
	Grace Duration `yaml:"grace" range:"0s..365d"`
	// Reports read a second, by all replicas together.
	Rate float64 `yaml:"rate" range:"0.01..10000"`
}
