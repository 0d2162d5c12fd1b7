package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectTime is how long making a connection to one host may take, unless the URL says so.
	connectTime = 5 * time.Second
	// idleTime is how long a transaction may wait for us. One that a replica left open by vanishing then releases its rows.
	idleTime = 15 * time.Second
	// silence is how long a host may leave what was sent to it unconfirmed, or be silent when it is asked for a sign of life.
	silence = 15 * time.Second
	// pingTime is how long a connection that was idle may take to show that it is alive.
	pingTime = 5 * time.Second
	// migrationLockTime is how long a change of the schema may wait for a table: all that comes after it waits too.
	migrationLockTime = 10 * time.Second
)

// ErrURL means that no connection can be made with what the URL says.
var ErrURL = errors.New("the URL is not understood")

var (
	errReadOnly     = errors.New("the database is read-only")
	errWaitCutShort = errors.New("the wait for other servers was cut short")
	// errNotNow is for pgx alone, which dials for every connection that it lost to have its statement canceled.
	errNotNow = errors.New("not while the database cannot be reached")
)

// newPool is a pool of connections for c. It connects when the first one is asked for, at the gate's pace.
func newPool(ctx context.Context, c Config, g *gate) (*pgxpool.Pool, error) {
	if c.URL == "" {
		return nil, errors.New("no URL given")
	}
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, notUnderstood(err)
	}
	pc.MaxConns = int32(c.PoolSize)
	pc.MaxConnLifetimeJitter = cmp.Or(pc.MaxConnLifetimeJitter, pc.MaxConnLifetime/10)
	pc.PingTimeout = cmp.Or(pc.PingTimeout, pingTime)
	pc.BeforeConnect = func(ctx context.Context, _ *pgx.ConnConfig) error { return g.enter(ctx) }
	pc.ConnConfig.ConnectTimeout = cmp.Or(pc.ConnConfig.ConnectTimeout, connectTime)
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(ctx, pc.ConnConfig.ConnectTimeout) // others wait for how it ends
		defer cancel()
		err := c.greet(ctx, conn)
		g.leave(err)
		return err
	}
	pc.ConnConfig.Tracer = gateTracer{g}
	pc.ConnConfig.OnNotice = noteWaits
	if pc.ConnConfig.ValidateConnect == nil {
		// Of several hosts the one that takes writes is used, and a connection to one that takes none any more is not.
		pc.ConnConfig.ValidateConnect = takesWrites
	}
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 3, Interval: silence / 3, Count: 2},
		Control:         controlSocket,
	}
	pc.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if !connects(ctx) && !g.idle() {
			return nil, errNotNow
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

// notUnderstood is ErrURL with the file that could not be read, if that is why: all else that pgx says may hold the password.
func notUnderstood(err error) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%w: %w", ErrURL, file)
	}
	return ErrURL
}

func takesWrites(ctx context.Context, conn *pgconn.PgConn) error {
	err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
	if errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return errReadOnly
	}
	return err
}

// settings are those of every session, unless the URL has others.
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
		settings["jit"] = "off" // statements are short, compiling them is not
	}
	return settings
}

// milliseconds is how PostgreSQL's settings have a time.
func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// migrating are the settings of connections that change the schema: building an index may take as long as it takes.
func migrating(c *pgx.ConnConfig) *pgx.ConnConfig {
	c = c.Copy()
	c.Tracer = gateTracer{}
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	c.RuntimeParams["lock_timeout"] = milliseconds(migrationLockTime)
	return c
}

const (
	// What a server or role has set for speed would lose what was acknowledged. It is set whatever it is, so that a session has it
	// also when the server's configuration changes.
	waitForDisk = `SELECT set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)`
	// A plan that was made while a table was small is kept while it grows, until its next ANALYZE. So that none of them reads it from end
	// to end, all look for their few rows by an index from the start. What they look for makes no other plan better, so none is
	// made anew for each group. It is set here since poolers refuse what they do not know.
	seekByIndex = `
SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)`
	askTimeline = `SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_checkpoint()`
)

// What a connection has beside it.
const (
	// timelineKey is where the timeline of its server's log is, if the role may ask all that finding out a commit's outcome takes.
	timelineKey = "timeline"
	// waitCutShortKey is there when a commit was answered before the servers that it was to wait for had it.
	waitCutShortKey = "wait cut short"
)

// noteWaits takes note of the warning that tells a commit from others: an administrator has ended its wait for synchronous
// replication. Its text is in the server's language; the name of what gave it is not.
func noteWaits(conn *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		conn.CustomData()[waitCutShortKey] = true
	}
}

// greet looks at a new connection.
func (c Config) greet(ctx context.Context, conn *pgx.Conn) error {
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "" && encoding != "UTF8" {
		return fmt.Errorf("the database keeps text as %s: make one with ENCODING 'UTF8'", encoding)
	}
	if c.Dialect == Portable {
		return nil
	}
	if _, err := conn.Exec(ctx, waitForDisk); err != nil {
		return fmt.Errorf("have commits wait for the disk: %w", err)
	}
	if _, err := conn.Exec(ctx, seekByIndex); err != nil {
		return fmt.Errorf("have statements use indexes: %w", err)
	}
	var timeline string
	if err := conn.QueryRow(ctx, askTimeline).Scan(&timeline); err == nil {
		conn.PgConn().CustomData()[timelineKey] = timeline // without it, what became of a commit is not found out
	}
	return nil
}

// wayOut adds to the error of a start what to do about it.
func wayOut(err error) error {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "08P01" {
		return fmt.Errorf("%w: PgBouncer needs `ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout, jit`", err)
	}
	return err
}
