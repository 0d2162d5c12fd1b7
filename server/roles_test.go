package server_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// statements returns the SQL statements in docs/operations.md after a mark.
func statements(t *testing.T, mark string) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	block := regexp.MustCompile(`(?s)` + mark + "\n+```sql\n(.*?)```").FindStringSubmatch(string(page))
	require.NotNil(t, block)
	var all []string
	for line := range strings.Lines(block[1]) {
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

// execute runs statements as psql does, one at a time, including \connect.
func execute(t *testing.T, server string, statements []string) {
	t.Helper()
	var connection *pgx.Conn
	connect := func(address string) {
		var err error
		connection, err = pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = connection.Close(t.Context()) })
	}
	connect(server)
	for _, s := range statements {
		if database, found := strings.CutPrefix(s, `\connect `); found {
			connect(as(t, server, "", database))
			continue
		}
		_, err := connection.Exec(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// as returns the server's URL for a role and a database.
func as(t *testing.T, server, role, database string) string {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	if role != "" {
		u.User = url.User(role)
	}
	u.Path = "/" + database
	return u.String()
}

// TestASingleRole runs dlrloop with the single role that docs/operations.md creates.
func TestASingleRole(t *testing.T) {
	admin := pgtest.Start(t, pgtest.Config{}).Database(t)
	execute(t, admin, statements(t, "<!-- one role -->"))
	w := newWorld(t, func(c *config.Config) { keepInDatabase(c, as(t, admin, "dlrloop", "dlrloop")) })
	sendsFeedback(w)
}

// TestTwoRoles creates the schema with one role and runs dlrloop with another, which must not change tables.
func TestTwoRoles(t *testing.T) {
	admin := pgtest.Start(t, pgtest.Config{}).Database(t)
	execute(t, admin, statements(t, "<!-- two roles -->"))
	c := config.Default()
	keepInDatabase(c, as(t, admin, "dlrloop", "dlrloop"))
	_, _, err := server.Migrate(t.Context(), c, false)
	require.ErrorContains(t, err, "run `dlrloop migrate` with a role that may create tables")

	keepInDatabase(c, as(t, admin, "dlrloop_owner", "dlrloop"))
	from, to, err := server.Migrate(t.Context(), c, false)
	require.NoError(t, err)
	assert.Zero(t, from)
	assert.Positive(t, to)
	w := newWorld(t, func(c *config.Config) {
		keepInDatabase(c, as(t, admin, "dlrloop", "dlrloop"))
		c.Store.Migrate = false
	})
	sendsFeedback(w)

	connection, err := pgx.Connect(t.Context(), as(t, admin, "dlrloop", "dlrloop"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(t.Context()) })
	for _, forbidden := range []string{
		"CREATE TABLE mine (a int)", "DROP TABLE batch",
		"ALTER TABLE batch ADD COLUMN a int", "TRUNCATE batch",
	} {
		_, err := connection.Exec(t.Context(), forbidden)
		assert.ErrorContains(t, err, "SQLSTATE 42501", forbidden)
	}
}

// sendsFeedback sends a batch and waits until its feedback is sent.
func sendsFeedback(w *world) {
	w.t.Helper()
	id := w.sendTo(w.gateway(), "per_recipient", true, number)
	w.eventually("sent", func() bool { return w.batch(id).Feedback.Sent == 1 })
	require.Equal(w.t, http.StatusOK, w.callback(fixtures.Read(w.t, "cb-unknown-type.json")))
	w.eventually("in the gauges", func() bool {
		_, metrics := w.get("/metrics")
		return strings.Contains(string(metrics), "dlrloop_quarantine_entries 1\n")
	})
}
