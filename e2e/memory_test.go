package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// little is the memory in which everything works.
const little = 256 << 20

// fullReport is a full report of a batch to recipients from..to, all delivered.
func fullReport(batch string, from, to int) []byte {
	var numbers strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&numbers, `,"4478%08d"`, n)
	}
	return fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":%q,"total_message_count":%d,`+
		`"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]}]}`, batch, to-from, to-from, numbers.String()[1:])
}

// deliver sends a report until it is acknowledged, as Sinch does.
func (c *calls) deliver(t *testing.T, body []byte) {
	t.Helper()
	header := signature(secret, body)
	eventually(t, "acknowledged", func() bool {
		status := c.send(t.Context(), header, body)
		assert.Contains(t, []int{0, http.StatusOK, http.StatusServiceUnavailable}, status)
		return status == http.StatusOK
	})
}

// delivered is how many messages the program has counted.
func (p *program) delivered() (messages int) {
	p.t.Helper()
	var stats struct {
		Plans []struct{ Messages []struct{ Messages int } }
	}
	p.get("/api/v1/stats", &stats)
	for _, plan := range stats.Plans {
		for _, m := range plan.Messages {
			messages += m.Messages
		}
	}
	return messages
}

// anonymous is the program's memory in use now, without page cache and mapped files; 0 while it does not run.
func (p *program) anonymous() (bytes int64) {
	if p.cgroup != nil {
		return p.cgroup.anonymous()
	}
	return 0
}

// metric is the value of a series without labels.
func (p *program) metric(name string) (value float64) {
	p.t.Helper()
	for line := range strings.Lines(string(p.read("/metrics"))) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			_, err := fmt.Sscan(rest, &value)
			require.NoError(p.t, err)
			return value
		}
	}
	require.Fail(p.t, "no series "+name)
	return 0
}

// confinement makes what limits the memory of a program.
type confinement func(t *testing.T) (*cgroup, wrapper)

// inCgroup is a control group with a limit in bytes.
func inCgroup(limit int64) confinement {
	return func(t *testing.T) (*cgroup, wrapper) {
		t.Helper()
		c := newCgroup(t, limit)
		return c, c.command
	}
}

// unconfined leaves a program the machine's memory.
func unconfined(*testing.T) (*cgroup, wrapper) { return nil, nil }

// confinements are the ways in which a program gets little memory.
var confinements = map[string]confinement{
	"control group": inCgroup(little),
	"RLIMIT_DATA": func(*testing.T) (*cgroup, wrapper) {
		return nil, func(name string, args ...string) *exec.Cmd {
			return exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -d %d && exec "$0" "$@"`, little>>10), name}, args...)...)
		}
	},
}

// Callers that send full reports as fast as they can are slowed down, and everything they were promised is kept.
func TestFullReportsInLittleMemory(t *testing.T) {
	for name, confine := range confinements {
		t.Run(name, func(t *testing.T) {
			p := webhookOnly(t, confine)
			watched := watchPeak(t, p)
			deliverFull(t, p)
			logPeak(t, watched)
			p.stop()
		})
	}
}

// deliverFull sends full reports over 8 connections as fast as they are acknowledged.
func deliverFull(t *testing.T, p *program) {
	t.Helper()
	const connections, recipients = 8, 1000
	reports := 10
	if long() {
		reports = 1000
	}
	var sending sync.WaitGroup
	for connection := range connections {
		sending.Go(func() {
			caller := newCalls(t, p)
			for n := range reports {
				first := (connection*reports + n) * recipients
				caller.deliver(t, fullReport(fmt.Sprintf("batch-%d", first), first, first+recipients))
			}
		})
	}
	sending.Wait()
	require.Equal(t, connections*reports*recipients, p.delivered())
}

// One report as large as a group may be is folded in parts, also by the next start when the first process is killed amid it.
func TestLargeReportInLittleMemory(t *testing.T) {
	for name, confine := range confinements {
		t.Run(name, func(t *testing.T) {
			p := webhookOnly(t, confine)
			watched := watchPeak(t, p)
			const recipients = 200_000
			caller := newCalls(t, p)
			caller.deliver(t, fullReport("large", 0, recipients))
			require.Equal(t, recipients, p.delivered())

			body := fullReport("interrupted", 0, recipients)
			var sending sync.WaitGroup
			sending.Go(func() { caller.send(t.Context(), signature(secret, body), body) })
			eventually(t, "in the journal", func() bool { return p.metric("dlrloop_store_unfolded_arrivals") > 0 })
			p.kill()
			sending.Wait()
			p.start()
			require.Equal(t, 2*recipients, p.delivered())
			caller.deliver(t, body)
			require.Equal(t, 2*recipients, p.delivered(), "a repeat")
			logPeak(t, watched)
			p.stop()
		})
	}
}

// The same holds of a replica on PostgreSQL, whose memory is not part of the limit.
func TestFullReportsOnPostgresInLittleMemory(t *testing.T) {
	p := webhookWith(t, fmt.Sprintf("{driver: postgres, url: %q}", postgres.Database(t)), inCgroup(little))
	watched := watchPeak(t, p)
	deliverFull(t, p)

	before := p.delivered()
	const recipients = 200_000
	caller := newCalls(t, p)
	body := fullReport("interrupted", 0, recipients)
	var sending sync.WaitGroup
	sending.Go(func() { caller.send(t.Context(), signature(secret, body), body) })
	eventually(t, "folded in part", func() bool { return p.delivered() > before })
	p.kill()
	sending.Wait()
	p.start()
	caller.deliver(t, body)
	require.Equal(t, before+recipients, p.delivered())
	logPeak(t, watched)
	p.stop()
}

// A start folds what the journal has, however much that is.
func TestStartInLittleMemory(t *testing.T) {
	p := webhookOnly(t, inCgroup(little))
	reports, recipients := 4, 30_000
	if long() {
		reports, recipients = 60, 70_000 // 1 MB each: about as much as the journal holds
	}
	body := func(n int) []byte {
		return fullReport(fmt.Sprint("batch ", n), n*recipients, (n+1)*recipients)
	}
	var sending sync.WaitGroup
	var acknowledged atomic.Int64
	for n := range reports {
		sending.Go(func() {
			caller, body := newCalls(t, p), body(n)
			header, status := signature(secret, body), http.StatusServiceUnavailable
			for status == http.StatusServiceUnavailable { // not all fit into the memory at the same time
				status = caller.send(t.Context(), header, body)
			}
			if status == http.StatusOK {
				acknowledged.Add(1)
			}
		})
	}
	eventually(t, "in the journal", func() bool { return p.metric("dlrloop_store_unfolded_arrivals") > 2 })
	p.kill()
	sending.Wait()
	watched := watchPeak(t, p)
	p.start()
	require.GreaterOrEqual(t, p.delivered(), int(acknowledged.Load())*recipients)
	caller := newCalls(t, p)
	for n := range reports {
		caller.deliver(t, body(n))
	}
	require.Equal(t, reports*recipients, p.delivered())
	logPeak(t, watched)
	p.stop()
}

// Recipient reports, which are most of all callbacks, need little memory as it is, and a burst leaves none in use.
func TestMemoryOfRecipientReports(t *testing.T) {
	p := webhookOnly(t, inCgroup(1<<30), "memory: {limit: 512MiB}")
	watched := watchPeak(t, p)
	const connections = 64
	reports := 300
	if long() {
		reports = 15_000
	}
	var sending sync.WaitGroup
	for connection := range connections {
		sending.Go(func() {
			caller := newCalls(t, p)
			for n := range reports {
				caller.deliver(t, fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":"batch-%d","recipient":"4477%08d","code":0,`+
					`"status":"Delivered","at":"2026-01-31T12:00:00.123Z"}`, n%200, connection*reports+n))
			}
		})
	}
	sending.Wait()
	peak := watched()
	require.Equal(t, connections*reports, p.delivered())
	require.LessOrEqual(t, peak, int64(150<<20))
	eventually(t, "given back", func() bool { return p.cgroup.anonymous() < 80<<20 })
	t.Logf("%d MB of anonymous memory at most, %d MB afterwards", peak>>20, p.cgroup.anonymous()>>20)
	p.stop()
}

// logPeak tells the largest use, where a control group knows it.
func logPeak(t *testing.T, watched func() int64) {
	t.Helper()
	if peak := watched(); peak > 0 {
		t.Logf("%d MB of anonymous memory at most", peak>>20)
	}
}
