package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

var postgres = pgtest.Shared{Config: pgtest.Config{Prepare: makeSchema}}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil { // the tests spend most of their time waiting
		panic(err)
	}
	os.Exit(postgres.Run(m))
}

func makeSchema(ctx context.Context, url string) error {
	_, _, err := pgstore.Migrate(ctx, pgstore.Config{URL: url}, false)
	return err
}

// TestOnPostgreSQL repeats tests of this package with PostgreSQL as the store.
func TestOnPostgreSQL(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"RecipientReports":                   TestRecipientReports,
		"BatchReports":                       TestBatchReports,
		"ReorderedAndDuplicate":              TestReorderedAndDuplicateReports,
		"NotReports":                         TestCallbacksThatAreNotReports,
		"EveryFixture":                       TestEveryFixture,
		"Accepted":                           TestAccepted,
		"TransientFailures":                  TestTransientFailures,
		"AppliedButFailed":                   TestAppliedButFailed,
		"RejectedCredentials":                TestRejectedCredentials,
		"NotEnabled":                         TestNotEnabled,
		"UnknownBatch":                       TestUnknownBatch,
		"Rejected":                           TestRejected,
		"ShutdownReleasesATask":              TestShutdownReleasesATask,
		"SummaryCompleted":                   TestSummaryCompleted,
		"NothingIsMissingAfterAnOutage":      TestNothingIsMissingAfterAnOutage,
		"GatewayDefaultsCompleteASend":       TestGatewayDefaultsCompleteASend,
		"OnlyConfirmedRecipientsGetFeedback": TestOnlyConfirmedRecipientsGetFeedback,
		"ShutdownWaitsForASend":              TestShutdownWaitsForASend,
		"Drains":                             TestDrains,
		"Destinations":                       TestDestinations,
	} {
		t.Run(name, func(t *testing.T) {
			// these need a port that nobody else binds
			if !slices.Contains([]string{"NothingIsMissingAfterAnOutage", "GatewayDefaultsCompleteASend"}, name) {
				t.Parallel()
			}
			test(t)
		})
	}
}

// keepIn sets a new store in the configuration: a directory, or below TestOnPostgreSQL a database.
func keepIn(t *testing.T, c *config.Config) {
	t.Helper()
	if !strings.HasPrefix(t.Name(), "TestOnPostgreSQL/") {
		c.Store.Path = t.TempDir()
		return
	}
	keepInDatabase(c, postgres.Database(t))
}

func keepInDatabase(c *config.Config, url string) {
	c.Store.Driver, c.Store.Path, c.Store.URL = config.DriverPostgres, "", config.Secret(url)
}

// beside starts a second replica on the same database and with the same Sinch, which calls the new replica from then
// on.
func (w *world) beside() *world {
	w.t.Helper()
	c := *w.config
	second := &world{t: w.t, sinch: w.sinch, origin: w.origin, config: &c, options: w.options}
	second.start()
	w.t.Cleanup(func() { require.NoError(w.t, second.end()) })
	return second
}

// TestAllReplicasGiveTheSameAnswers sends each callback to both replicas and compares all their answers.
func TestAllReplicasGiveTheSameAnswers(t *testing.T) {
	database := postgres.Database(t)
	a := newWorld(t, func(c *config.Config) { keepInDatabase(c, database) })
	b := a.beside()
	sent := []string{
		a.sendTo(a.gateway(), "per_recipient", true, number, "12025550144"),
		b.sendTo(b.gateway(), "summary", true, number),
	}
	files := fixtures.Names(t, "cb-*.json")
	replicas := []*world{a, b}
	for i, file := range files {
		body := fixtures.Read(t, file)
		require.Equal(t, http.StatusOK, replicas[i%2].callback(body), file)
		require.Equal(t, http.StatusOK, replicas[(i+1)%2].callback(body), "%s, a duplicate", file)
	}
	// The feedback of the fixtures becomes dead, because their batches do not exist at Sinch.
	a.eventually("nothing is owed", func() bool {
		return a.sinch.Settled() && a.batch(sent[0]).Feedback.Sent == 2 && b.batch(sent[1]).Feedback.Sent == 1 &&
			len(pages(a, "/api/v1/feedback?state=pending")) == 0
	})
	assert.Equal(t, 1, a.applied(sent[0]))
	assert.Equal(t, 1, a.applied(sent[1]))

	batches := pages(a, "/api/v1/batches?limit=3", b)
	require.Len(t, batches, len(pages(b, "/api/v1/batches?limit=500")), "the replicas answer alternate pages")
	require.Greater(t, len(batches), 10)
	paths := []string{
		"/api/v1/batches?limit=500", "/api/v1/quarantine", "/api/v1/feedback?state=dead", "/api/v1/recipients/447700900133",
		"/api/v1/recipients/" + number,
	}
	for _, item := range batches {
		var known struct{ ID string }
		require.NoError(t, json.Unmarshal(item, &known))
		path := "/api/v1/plans/" + plan + "/batches/" + known.ID
		paths = append(paths, path, path+"/recipients", path+"/reports")
	}
	for _, path := range paths {
		statusA, answerA := a.get(path)
		statusB, answerB := b.get(path)
		assert.Equal(t, http.StatusOK, statusA, path)
		assert.Equal(t, statusA, statusB, path)
		assert.JSONEq(t, string(answerA), string(answerB), path)
	}
	a.eventually("the same counts", func() bool {
		var ofA, ofB struct{ Plans json.RawMessage }
		a.read("/api/v1/stats", &ofA)
		b.read("/api/v1/stats", &ofB)
		return bytes.Equal(ofA.Plans, ofB.Plans)
	})
}

// TestReplicasDivideTheWork starts two replicas: each may use half of the feedback rate, and each leader lease has one
// holder.
func TestReplicasDivideTheWork(t *testing.T) {
	database := postgres.Database(t)
	a := newWorld(t, func(c *config.Config) {
		keepInDatabase(c, database)
		c.Plans[0].Feedback.Rate = 100
	})
	b := a.beside()
	ceiling := fmt.Sprintf("feedback_rate_ceiling{plan=%q}", plan)
	a.eventually("the rate is divided", func() bool { return a.series(ceiling) == "50" && b.series(ceiling) == "50" })
	a.eventually("both leases are held", func() bool {
		var stats struct{ Leaders map[string]string }
		a.read("/api/v1/stats", &stats)
		return stats.Leaders[store.LeaseReconcile] != "" && stats.Leaders[store.LeaseRetention] != ""
	})
}

// pages returns all items of a list. w and others answer the pages in turn.
func pages(w *world, path string, others ...*world) []json.RawMessage {
	w.t.Helper()
	readers := append([]*world{w}, others...)
	var all []json.RawMessage
	for next, turn := path, 0; ; turn++ {
		var page struct {
			Items []json.RawMessage
			Next  string `json:"next_cursor"`
		}
		readers[turn%len(readers)].read(next, &page)
		if all = append(all, page.Items...); page.Next == "" {
			return all
		}
		next = path + "&cursor=" + page.Next
	}
}

// TestADatabaseOutage crashes and restarts PostgreSQL under a server, which is not ready and answers 503 during the
// outage and then recovers by itself.
func TestADatabaseOutage(t *testing.T) {
	database := pgtest.Start(t, pgtest.Config{Durable: true})
	url := database.Database(t)
	w := newWorld(t, func(c *config.Config) { keepInDatabase(c, url) })
	early, late := fixtures.Read(t, "cb-rdr-sms-dispatched.json"), fixtures.Read(t, "cb-rdr-sms-delivered.json")
	require.Equal(t, http.StatusOK, w.callback(early))
	status, _ := w.get("/readyz")
	require.Equal(t, http.StatusOK, status)

	database.Kill(t)
	status, text := w.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	assert.NotContains(t, string(text), url)
	require.Equal(t, http.StatusServiceUnavailable, w.callback(late), "Sinch will retry")
	status, _ = w.get("/healthz")
	require.Equal(t, http.StatusOK, status, "a restart would not help")

	database.Restart(t)
	w.eventually("ready again", func() bool { status, _ := w.get("/readyz"); return status == http.StatusOK })
	w.eventually("taken", func() bool { return w.callback(late) == http.StatusOK })
	var r recipient
	w.read("/api/v1/plans/"+plan+"/batches/01K2S9A1V5K3C8MEX7RQ0YBD4W/recipients/447700900133", &r)
	assert.Equal(t, "Delivered", r.State.Status)
	assert.Len(t, r.Reports, 2)
}

// lockedText is a buffer for concurrent writers.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// TestEveryLogLineNamesTheReplica reads the log of a replica with a configured name and of one with a generated name.
func TestEveryLogLineNamesTheReplica(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	for what, c := range map[string]struct{ name, text string }{
		"configured": {"web-1", ` replica=web-1( |$)`},
		"generated":  {"", fmt.Sprintf(` replica=%s-[a-z0-9]{4}( |$)`, host)},
	} {
		t.Run(what, func(t *testing.T) {
			database := postgres.Database(t)
			w := newWorld(t, func(c *config.Config) { keepInDatabase(c, database) })
			require.NoError(t, w.end())
			text := new(lockedText)
			w.options.Log, w.config.Replica = slog.New(slog.NewTextHandler(text, nil)), c.name
			w.start()
			require.NoError(t, w.sinch.SetFault(fault.Fault{
				Operation: fault.OpFeedback, Kind: fault.Status,
				Status: 503, Times: 1,
			}))
			id := w.send("per_recipient_final", true, number)
			w.eventually("sent", func() bool { return w.batch(id).Feedback.Sent == 1 })
			require.NoError(t, w.end())
			require.Greater(t, len(text.lines()), 2)
			for _, line := range text.lines() {
				assert.Regexp(t, c.text, line)
			}
		})
	}
}

func TestGeneratedReplicaNames(t *testing.T) {
	long := strings.Repeat("x", 63)
	for host, want := range map[string]string{
		"web-1": "web-1-k3x9", "Web_1.example.com": "web_1-k3x9", "": "replica-k3x9", "ü": "replica-k3x9", "a b": "ab-k3x9",
		long: long[:40] + "-k3x9",
	} {
		assert.Equal(t, want, server.NewReplica(host, "K3X9QQ"), host)
	}
}

// TestAnUnreachableDatabase checks that the error contains no password.
func TestAnUnreachableDatabase(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	for _, url := range []string{
		"postgres://dlrloop:s3cret@127.0.0.1:1/dlrloop?connect_timeout=1",
		"postgres://dlrloop:s3cret@127.0.0.1:s3cret/dlrloop",
	} {
		keepInDatabase(w.config, url)
		began := time.Now()
		_, err := server.Start(t.Context(), w.config, w.options)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "s3cret")
		assert.Less(t, time.Since(began), time.Minute)
	}
}
