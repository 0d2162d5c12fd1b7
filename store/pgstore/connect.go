package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectTime is the time limit for connecting to one host, unless the URL sets connect_timeout.
	connectTime = 5 * time.Second
	// idleTime is how long the server lets a transaction idle before it ends the session. This frees the rows that a
	// vanished replica has locked.
	idleTime = 15 * time.Second
	// peerTimeout is how long a host may leave sent data or keep-alive probes unacknowledged before the connection
	// fails.
	peerTimeout = 15 * time.Second
	// pingTime is the time limit for the ping that checks an idle connection before use.
	pingTime = 5 * time.Second
	// migrationLockTime is how long a migration waits for a table lock. Later statements queue behind that wait, so
	// it is short.
	migrationLockTime = 10 * time.Second
)

// ErrURL means that Config.URL cannot be parsed. Open, Migrate, OpenSource and OpenSink return errors that wrap it.
var ErrURL = errors.New("cannot parse the URL")

// Connection errors that this package detects itself. All others come from pgx.
var (
	errReadOnly                = errors.New("the database is read-only")
	errReplicationWaitCanceled = errors.New("the wait for synchronous replication was canceled")
	// errBackingOff refuses the extra connections that pgx dials to cancel the statements of lost connections. Only
	// pgx gets this error.
	errBackingOff = errors.New("no connection while the database is unreachable")
)

// newPool returns a connection pool for the database of c. It does not connect yet, so it fails only if the URL is
// invalid. The gate g makes the pool open one connection at a time, with a delay after each failed attempt.
func newPool(ctx context.Context, c Config, g *gate) (*pgxpool.Pool, error) {
	pc, err := parseURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	pc.MaxConns = int32(c.PoolSize)
	pc.MaxConnLifetimeJitter = cmp.Or(pc.MaxConnLifetimeJitter, pc.MaxConnLifetime/10)
	pc.PingTimeout = cmp.Or(pc.PingTimeout, pingTime)
	pc.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error { return g.enter(ctx) }
	pc.ConnConfig.ConnectTimeout = cmp.Or(pc.ConnConfig.ConnectTimeout, connectTime)
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, pc.ConnConfig.ConnectTimeout) // other connections wait for this one
		defer cancel()
		err := c.initConn(ctx, conn)
		g.leave(err)
		return err
	}
	pc.ConnConfig.Tracer = gateTracer{g}
	pc.ConnConfig.OnNotice = noteCanceledWait
	if pc.ConnConfig.ValidateConnect == nil {
		// Of several hosts, use the one that accepts writes; discard a connection to a server that has become
		// read-only.
		pc.ConnConfig.ValidateConnect = validateWritable
	}
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: peerTimeout / 3, Interval: peerTimeout / 3, Count: 2},
		Control:         controlSocket,
	}
	pc.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !isConnecting(ctx) && !g.idle() {
			return nil, errBackingOff
		}
		return dialer.DialContext(ctx, network, address)
	}
	for setting, value := range c.settings() {
		if _, given := pc.ConnConfig.RuntimeParams[setting]; !given {
			pc.ConnConfig.RuntimeParams[setting] = value
		}
	}
	return pgxpool.NewWithConfig(ctx, pc)
}

// validateWritable returns errReadOnly if the server to which conn connected accepts no writes.
func validateWritable(ctx context.Context, conn *pgconn.PgConn) error {
	err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return errReadOnly
	}
	return err
}

// settings returns the PostgreSQL run-time parameters for every session, by name. Parameters in the URL override them.
func (c Config) settings() map[string]string {
	name := "dlrloop"
	if c.Replica != "" {
		name += "/" + c.Replica
	}
	settings := map[string]string{
		"application_name":                    name,
		"statement_timeout":                   milliseconds(c.StatementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTime),
	}
	if c.Dialect != Portable {
		settings["jit"] = "off" // the statements are too short to be worth compiling
	}
	return settings
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// migrationConfig returns a copy of c for a connection that migrates the schema. On that connection only waiting for
// locks has a time limit, because building an index may take any time.
func migrationConfig(c *pgx.ConnConfig) *pgx.ConnConfig {
	c = c.Copy()
	c.Tracer = gateTracer{}
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	c.RuntimeParams["lock_timeout"] = milliseconds(migrationLockTime)
	return c
}

// SQL statements that initConn runs on each new connection.
const (
	// forceSynchronousCommit replaces synchronous_commit = off, which would lose acknowledged reports in a crash, by
	// on. It also sets the other values explicitly, so that a reload of the server's configuration does not change
	// the session.
	forceSynchronousCommit = `SELECT set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)`
	// forceIndexes disables plans that read whole tables. A generic plan made while a table is small is kept until
	// the next ANALYZE, even when the table has grown, so it must use an index from the start. Custom plans would not
	// be better, and planning costs time for every group. The settings are made by a statement because poolers reject
	// them as startup parameters.
	forceIndexes = `
SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)`
)

// waitCanceledKey is a key in the CustomData of a pgx connection. It is set if the server answered a commit before the
// synchronous standbys confirmed that commit.
const waitCanceledKey = "wait canceled"

// noteCanceledWait is the notice handler of each connection. It sets waitCanceledKey if an administrator or
// statement_timeout canceled the wait of a commit for synchronous replication. It recognizes the server's warning by
// the name of the server routine, because the text of the warning depends on the server's language.
func noteCanceledWait(conn *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		conn.CustomData()[waitCanceledKey] = true
	}
}

// initConn applies the settings that a new connection needs as SQL statements (none with Portable). It returns an error
// if the encoding of the database is not UTF-8.
func (c Config) initConn(ctx context.Context, conn *pgx.Conn) error {
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "" && encoding != "UTF8" {
		return fmt.Errorf("the database encoding is %s: create the database with ENCODING 'UTF8'", encoding)
	}
	if c.Dialect == Portable {
		return nil
	}
	if _, err := conn.Exec(ctx, forceSynchronousCommit); err != nil {
		return fmt.Errorf("set synchronous_commit: %w", err)
	}
	if _, err := conn.Exec(ctx, forceIndexes); err != nil {
		return fmt.Errorf("set planner options: %w", err)
	}
	return nil
}

// withPgBouncerHint returns err unchanged or, if PgBouncer rejected the startup parameters, wrapped with the PgBouncer
// setting that allows them.
func withPgBouncerHint(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "08P01" {
		return fmt.Errorf("%w: PgBouncer needs "+
			"`ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout, jit`", err)
	}
	return err
}
