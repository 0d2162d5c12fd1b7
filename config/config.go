// Package config loads and checks the configuration: one YAML file, environment variables that override it, and the
// files that hold the secrets. It reports all problems at once, each with its place, its key and what to do.
package config

import (
	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// Config is the complete configuration that Load returns: defaults are set, secrets are read from their files, and
// values are checked. The paths of the store and of the TLS files are absolute or relative to the working directory.
type Config struct {
	Public  Public  `yaml:"public"`
	Private Private `yaml:"private"`
	Gateway Gateway `yaml:"gateway"`
	Store   Store   `yaml:"store"`
	Inbound Inbound `yaml:"inbound"`
	Events  Events  `yaml:"events"`
	Memory  Memory  `yaml:"memory"`
	// The name of this replica in logs, metrics and `/api/v1/stats`. Replicas that share a PostgreSQL database need
	// different names. Empty: the host name and a random suffix, such as `web-1-k3x9`. Letters, digits, `.`, `_` and
	// `-`, at most 64.
	Replica string `yaml:"replica"`
	Log     Log    `yaml:"log"`
	// How long the process keeps serving after SIGTERM while `/readyz` answers 503. Load balancers can remove it
	// before the listeners close.
	ShutdownDelay Duration `yaml:"shutdown_delay" range:"0s..1h"`
	// How long requests and feedback calls in flight may take after the listeners have closed. The rest is canceled;
	// no acknowledged report is lost.
	ShutdownTimeout Duration `yaml:"shutdown_timeout" range:"100ms..1h"`
	// The Sinch service plans, at least one.
	Plans []Plan `yaml:"plans"`
	// The URLs of your application to which dlrloop delivers events.
	Destinations []Destination `yaml:"destinations"`

	// File is the path of the loaded file. It is empty if the configuration comes from the environment alone.
	File string `yaml:"-"`
	// Warnings are problems that do not stop dlrloop from working.
	Warnings Problems `yaml:"-"`
}

// Public is the listener that Sinch calls. It serves the webhook and `/healthz`, nothing else.
type Public struct {
	// The address, `host:port`. Without a host it listens on all addresses of the machine.
	Listen string `yaml:"listen"`
	// The URL under which Sinch reaches this listener, without the path of the webhook. It is displayed to people,
	// and `gateway.defaults` builds the `callback_url` of batches from it.
	URL string `yaml:"url"`
	// The largest callback body. A larger callback is answered 413 and its reports are lost; a full report to large
	// groups is several megabytes. At most a quarter of `memory`. With a small `memory.limit` the default is lower.
	MaxBody ByteSize `yaml:"max_body" range:"16KiB..256MiB"`
	// The memory for the bodies of all callbacks in flight, at least four times `max_body` and at most half of
	// `memory.limit`. `0`: a quarter of `memory.limit`. When it is used up, callbacks are answered 503, and Sinch
	// retries them.
	Memory ByteSize `yaml:"memory" range:"0|64KiB..1TiB"`
	// Answer 429 instead of 503 when overloaded. Sinch retries both, and lowers its throughput after a 429.
	ShedWith429 bool `yaml:"shed_with_429"`
	// The maximum number of open connections. Beyond it, the client with the most connections loses the one that has
	// been idle longest. The maximum is lower if the process's limit of open files leaves fewer than 256 for other
	// uses.
	MaxConnections int `yaml:"max_connections" range:"16..1000000"`
	// IP addresses or networks (`10.0.0.0/8`) of the proxies whose `X-Forwarded-For` is trusted. The client address
	// appears in logs, and requests that are not verified yet share memory and time by client. Without this key, a
	// proxy and all its clients count as one client.
	TrustedProxies []string `yaml:"trusted_proxies"`
	TLS            TLS      `yaml:"tls"`
}

// TLS turns HTTPS on. If neither `cert_file` nor `key_file` is set, the listener serves HTTP. Changed files are read
// again within 10 seconds, and on SIGHUP. While the files are invalid, the previous certificate stays in use.
type TLS struct {
	// The certificate chain, PEM.
	CertFile string `yaml:"cert_file"`
	// The private key of the certificate, PEM.
	KeyFile string `yaml:"key_file"`
}

// Enabled reports whether the listener serves HTTPS, that is, whether a certificate file is set.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// Private is the listener for operators and their programs: API, metrics and health.
type Private struct {
	// The address, `host:port`. An address other than loopback requires credentials.
	Listen      string      `yaml:"listen"`
	Credentials Credentials `yaml:"credentials"`
}

// Credentials protect the private listener: each request needs one of them. Without credentials, everyone who reaches
// the listener has full access.
type Credentials struct {
	// User names and passwords, for browsers and Prometheus. A user name may occur twice, so that its password can be
	// rotated.
	Basic []Basic `yaml:"basic"`
	// Bearer tokens.
	Tokens []Secret `yaml:"tokens"`
	// Files that hold one bearer token each.
	TokenFiles []string `yaml:"token_files"`
}

// Any reports whether at least one credential is set. If not, the private listener accepts every request.
func (c Credentials) Any() bool { return len(c.Basic)+len(c.Tokens)+len(c.TokenFiles) > 0 }

// Basic is one user name and password for HTTP Basic authentication.
type Basic struct {
	// The user name. It must not contain a colon.
	Username string `yaml:"username"`
	// The password.
	Password Secret `yaml:"password"`
	// A file that holds the password.
	PasswordFile string `yaml:"password_file"`
}

// Access converts user names and passwords to the type of package handlers/access, in a new slice. The result has the
// passwords in plain text.
func Access(pairs []Basic) []access.Basic {
	var all []access.Basic
	for _, b := range pairs {
		all = append(all, access.Basic{User: b.Username, Password: b.Password.Reveal()})
	}
	return all
}

// Gateway is a proxy for Sinch's API, `/xms/v1/{plan}/…`, that your applications can call instead of Sinch. dlrloop
// records each batch sent through it, before the first report of the batch arrives.
type Gateway struct {
	// A separate address, `host:port`, for applications on other machines. Empty: the private listener serves the
	// gateway.
	Listen string `yaml:"listen"`
	TLS    TLS    `yaml:"tls"`
	// Set members that a send leaves out: `delivery_report: per_recipient_final` if feedback is enabled, and this
	// server's webhook as `callback_url` if the send requests reports. Requires `public.url`.
	Defaults bool `yaml:"defaults"`
	// The largest request body. A larger request is answered 413 and not forwarded to Sinch.
	MaxBody ByteSize `yaml:"max_body" range:"16KiB..256MiB"`
}

// Store configures where dlrloop stores reports and feedback, and for how long.
type Store struct {
	// The kind of store. `bolt` stores everything in one directory, for one process. `postgres` stores it in a
	// PostgreSQL database, which several replicas can share.
	Driver string `yaml:"driver"`
	// With `bolt`: the directory, created if it does not exist. It must be on a local disk.
	Path string `yaml:"path"`
	// With `postgres`: the database, as `postgres://user:password@host:5432/database?sslmode=verify-full`, or as
	// keywords and values in the format of libpq.
	URL Secret `yaml:"url"`
	// A file that holds the URL.
	URLFile string `yaml:"url_file"`
	// With `postgres`: the kind of database. `postgres`; `citus`, which distributes tables; `portable`, for other
	// databases that speak PostgreSQL's protocol.
	Dialect pgstore.Dialect `yaml:"dialect"`
	// With `postgres`: the maximum number of connections of this replica. The connections of all replicas together
	// must stay below the database's `max_connections`.
	PoolSize int `yaml:"pool_size" range:"6..1000"`
	// With `postgres`: the number of parts that the batches are divided into. It is fixed when the schema is created
	// and ignored afterwards.
	Slots int `yaml:"slots" range:"1..1024"`
	// With `postgres`: migrate the schema to the version of this program at startup. `false`: refuse to start with
	// another version; `dlrloop migrate` changes it.
	Migrate bool `yaml:"migrate"`
	// With `postgres`: the maximum run time of one statement. The database cancels a longer one.
	StatementTimeout Duration `yaml:"statement_timeout" range:"1s..1h"`
	// How long a batch is kept after its last change. A batch that still owes feedback is kept longer.
	Retention Duration `yaml:"retention" range:"1h..18250d"`
	// The size to which the store may grow on its disk. `0`: no limit. It is not enforced: dlrloop exports it as
	// `dlrloop_store_limit_bytes`, so that an alert can predict when the disk fills up.
	SizeLimit ByteSize `yaml:"size_limit" range:"0|1MiB..1024TiB"`
}

// Inbound configures inbound messages (MO), which Sinch sends to the same webhook as the reports.
type Inbound struct {
	// Whether inbound messages are stored. `false`: dlrloop acknowledges them, so Sinch does not send them again, and
	// drops them.
	Keep bool `yaml:"keep"`
}

// Events configures the events that tell your applications of changes, such as a new status of a recipient.
type Events struct {
	// How long events are kept for the feed, `/api/v1/events`. A reader that is absent for longer misses events. `0`:
	// there is no feed. Events older than `store.retention` are deleted in any case.
	Keep Duration `yaml:"keep" range:"0|1m..90d"`
}

// The values of Store.Driver. DriverBolt is a store in a directory, for one process. DriverPostgres is a store in a
// PostgreSQL database, which several replicas can share.
const (
	DriverBolt     = "bolt"
	DriverPostgres = "postgres"
)

// Memory limits the memory of the whole process. Request bodies and queues have fixed shares of the limit. When a share
// is used up, dlrloop refuses callbacks, which Sinch then retries, or delays other work until memory is free.
type Memory struct {
	// The limit. Bodies, queues, the journal's backlog and the fold have fixed shares of it, and Go's garbage
	// collector keeps the process below it. The page cache is not part of it. `0`: the lowest limit of the process's
	// control groups and its `RLIMIT_DATA` (less 160MiB that Go's runtime reserves), or `512MiB` if none is set.
	Limit ByteSize `yaml:"limit" range:"0|64MiB..1TiB"`
}

// Log configures logging. The output is standard error.
type Log struct {
	// The lowest level that is logged: `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`
	// `json`, `text`, or `auto`: text on a terminal, otherwise JSON.
	Format string `yaml:"format"`
}

// The values of Log.Format, the format of log lines. FormatAuto means text if standard error is a terminal, otherwise
// JSON.
const (
	FormatAuto = "auto"
	FormatJSON = "json"
	FormatText = "text"
)
