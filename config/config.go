// Package config reads the configuration: one YAML file, the environment over it, and the files that hold the secrets.
// Whatever is wrong with it is told at once, each problem with its place, its key and the way out.
package config

// Config is the whole configuration, complete and checked: defaults are filled in, secrets are read from their files, and
// every path can be opened as it stands.
type Config struct {
	Public  Public  `yaml:"public"`
	Private Private `yaml:"private"`
	Gateway Gateway `yaml:"gateway"`
	Store   Store   `yaml:"store"`
	Memory  Memory  `yaml:"memory"`
	// The name of this replica in logs, metrics and `/api/v1/stats` where several share a PostgreSQL, each its own. Empty: the host's
	// name and a random suffix, such as `web-1-k3x9`. Letters, digits, `.`, `_` and `-`, at most 64.
	Replica string `yaml:"replica"`
	Log     Log    `yaml:"log"`
	// How long the process goes on serving after SIGTERM, with `/readyz` answering 503, so that load balancers turn away
	// before the listeners close.
	ShutdownDelay Duration `yaml:"shutdown_delay" range:"0s..1h"`
	// How long requests and feedback calls in flight may take to end once the listeners are closed. What has not ended by
	// then is cut off; nothing acknowledged is lost.
	ShutdownTimeout Duration `yaml:"shutdown_timeout" range:"100ms..1h"`
	// The Sinch service plans, at least one.
	Plans []Plan `yaml:"plans"`

	// File is the file that was read; empty when there is none and the environment says everything.
	File string `yaml:"-"`
	// Warnings are what should be looked at but keeps nothing from working.
	Warnings Problems `yaml:"-"`
}

// Public is the listener that Sinch calls. It serves the webhook and nothing else.
type Public struct {
	// The address, `host:port`; without a host, all of the machine's addresses.
	Listen string `yaml:"listen"`
	// The URL under which Sinch reaches this listener, without a path of the webhook. It is shown to people; with `gateway.defaults`
	// it becomes part of the `callback_url` of batches.
	URL string `yaml:"url"`
	// The largest callback taken; a larger one is answered 413 and lost. A full report to large groups is
	// megabytes. At most a quarter of `memory`; with a small `memory.limit` the default is less.
	MaxBody ByteSize `yaml:"max_body" range:"16KiB..256MiB"`
	// The memory for the bodies of all callbacks in flight together, at least four times `max_body` and at most half of `memory.limit`.
	// `0`: a quarter of `memory.limit`. When it is used up, callbacks are answered 503, which Sinch repeats.
	Memory ByteSize `yaml:"memory" range:"0|64KiB..1TiB"`
	// Answer 429 instead of 503 when there is more than can be taken. Sinch repeats both, and lowers its throughput after a 429.
	ShedWith429 bool `yaml:"shed_with_429"`
	// The connections open at most. When there are more, the client with the most of them loses the one that has waited for a request
	// longest. There are fewer where the process may open less than 256 files more than that.
	MaxConnections int `yaml:"max_connections" range:"16..1000000"`
	// Addresses or networks (`10.0.0.0/8`) of the proxies whose `X-Forwarded-For` is believed: in logs, and where clients that are not
	// verified yet share memory and time. Without it a proxy and all that call through it are one client.
	TrustedProxies []string `yaml:"trusted_proxies"`
	TLS            TLS      `yaml:"tls"`
}

// TLS makes the listener speak HTTPS. It stays HTTP while both are empty. The files are read again within 10 seconds after
// they change, and on SIGHUP.
type TLS struct {
	// The certificate with its chain, PEM.
	CertFile string `yaml:"cert_file"`
	// Its private key, PEM.
	KeyFile string `yaml:"key_file"`
}

// Enabled reports whether the listener speaks HTTPS.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// Private is the listener for people and programs of your own: API, metrics and health.
type Private struct {
	// The address, `host:port`. Away from loopback it needs credentials.
	Listen      string      `yaml:"listen"`
	Credentials Credentials `yaml:"credentials"`
}

// Credentials open the private listener: any one of them does. Without any, whoever reaches the listener may use it.
type Credentials struct {
	// User names with passwords, for browsers and Prometheus. A name may occur twice, while its password changes.
	Basic []Basic `yaml:"basic"`
	// Bearer tokens.
	Tokens []Secret `yaml:"tokens"`
	// Files with a bearer token each.
	TokenFiles []string `yaml:"token_files"`
}

// Any reports whether there are any credentials.
func (c Credentials) Any() bool { return len(c.Basic)+len(c.Tokens)+len(c.TokenFiles) > 0 }

// Basic is one pair for HTTP Basic authentication.
type Basic struct {
	// The user name; it cannot contain a colon.
	Username string `yaml:"username"`
	// The password.
	Password Secret `yaml:"password"`
	// A file with the password.
	PasswordFile string `yaml:"password_file"`
}

// Gateway is Sinch's API for your applications: `/xms/v1/{plan}/…`. What passes through it is known here before its first report.
type Gateway struct {
	// An address of its own, `host:port`, for applications on other machines. Empty: the gateway is on the private listener.
	Listen string `yaml:"listen"`
	TLS    TLS    `yaml:"tls"`
	// Complete sends that leave things out: `delivery_report: per_recipient_final` where feedback is enabled, and as
	// `callback_url`, where reports are asked for, this server's webhook. It needs `public.url`.
	Defaults bool `yaml:"defaults"`
	// The largest request taken; a larger one is answered 413 and Sinch is not called.
	MaxBody ByteSize `yaml:"max_body" range:"16KiB..256MiB"`
}

// Store says where reports and feedback are kept.
type Store struct {
	// The kind of store: `bolt` keeps everything in one folder, for one process; `postgres` in a PostgreSQL database, which any
	// number of replicas may share.
	Driver string `yaml:"driver"`
	// With `bolt`: the folder, made when it is missing. It must be on a local disk.
	Path string `yaml:"path"`
	// With `postgres`: the database, as `postgres://user:password@host:5432/database?sslmode=verify-full`, or in keywords and values as
	// libpq has them.
	URL Secret `yaml:"url"`
	// A file with the URL.
	URLFile string `yaml:"url_file"`
	// With `postgres`: the kind of database. `postgres`; `citus`, where tables are distributed; `portable`, for others that speak
	// PostgreSQL's protocol.
	Dialect string `yaml:"dialect"`
	// With `postgres`: the most connections of this replica. All replicas together need less than the database's
	// `max_connections`.
	PoolSize int `yaml:"pool_size" range:"6..1000"`
	// With `postgres`: into how many parts the batches are divided. It counts when the schema is made and never again.
	Slots int `yaml:"slots" range:"1..1024"`
	// With `postgres`: bring the schema to this version at the start. `false`: refuse to start with another one; `dlrloop migrate`
	// changes it.
	Migrate bool `yaml:"migrate"`
	// With `postgres`: the longest that one statement may take. The database ends it then.
	StatementTimeout Duration `yaml:"statement_timeout" range:"1s..1h"`
	// How long a batch is kept after its last news. What still owes feedback is kept longer.
	Retention Duration `yaml:"retention" range:"1h..18250d"`
	// What the store may grow to on its disk; `0` says nothing of it. It changes nothing here: it is exported as
	// `dlrloop_store_limit_bytes`, so that an alert can say days before that the disk will be full.
	SizeLimit ByteSize `yaml:"size_limit" range:"0|1MiB..1024TiB"`
}

// The kinds of store.
const (
	DriverBolt     = "bolt"
	DriverPostgres = "postgres"
)

// The kinds of database.
const (
	DialectPostgres = "postgres"
	DialectCitus    = "citus"
	DialectPortable = "portable"
)

// Memory is what the process may use of the machine's memory.
type Memory struct {
	// The limit. Bodies, queues, the journal's tail and the fold have fixed shares of it, and Go's garbage collector keeps the process
	// below it; the page cache is not part of it. `0`: the least of the limits of the process's control groups and its `RLIMIT_DATA` (less 160MiB that Go's runtime reserves), or
	// `512MiB` without any.
	Limit ByteSize `yaml:"limit" range:"0|64MiB..1TiB"`
}

// Log says what is logged, always on standard error.
type Log struct {
	// The least level: `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`
	// `json`, `text`, or `auto`: text on a terminal, else JSON.
	Format string `yaml:"format"`
}

// The log formats.
const (
	FormatAuto = "auto"
	FormatJSON = "json"
	FormatText = "text"
)
