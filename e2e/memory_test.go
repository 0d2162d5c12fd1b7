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

// smallMemory is the smallest memory, in bytes, in which dlrloop must work.
const smallMemory = 256 << 20

// fullReport returns a full report of a batch to the recipients from <= n < to, all delivered.
func fullReport(batch string, from, to int) []byte {
	var numbers strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&numbers, `,"4478%08d"`, n)
	}
	return fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":%q,"total_message_count":%d,`+
		`"statuses":[{"code":0,"status":"Delivered","count":%d,`+
		`"recipients":[%s]}]}`, batch, to-from, to-from, numbers.String()[1:])
}

// deliver sends a report repeatedly, as Sinch does, until it is acknowledged.
func (c *calls) deliver(t *testing.T, body []byte) {
	t.Helper()
	header := signature(secret, body)
	eventually(t, "acknowledged", func() bool {
		status := c.send(t.Context(), header, body)
		assert.Contains(t, []int{0, http.StatusOK, http.StatusServiceUnavailable}, status)
		return status == http.StatusOK
	})
}

// delivered returns the number of messages that the program has counted.
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

// anonymous returns the program's present memory in bytes, without page cache and mapped files. It is 0 without a
// control group.
func (p *program) anonymous() (bytes int64) {
	if p.cgroup != nil {
		return p.cgroup.anonymous()
	}
	return 0
}

// metric returns the value of a series without labels.
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

// memoryLimit returns a control group, if it uses one, and a wrapper that limits the memory of a program.
type memoryLimit func(t *testing.T) (*cgroup, wrapper)

// cgroupLimit limits the memory by a control group, in bytes.
func cgroupLimit(limit int64) memoryLimit {
	return func(t *testing.T) (*cgroup, wrapper) {
		t.Helper()
		c := newCgroup(t, limit)
		return c, c.command
	}
}

// unlimited does not limit the memory.
func unlimited(*testing.T) (*cgroup, wrapper) { return nil, nil }

// memoryLimits are the ways to limit a program to smallMemory.
var memoryLimits = map[string]memoryLimit{
	"control group": cgroupLimit(smallMemory),
	"RLIMIT_DATA": func(*testing.T) (*cgroup, wrapper) {
		return nil, func(name string, args ...string) *exec.Cmd {
			return exec.Command("sh",
				append([]string{"-c", fmt.Sprintf(`ulimit -d %d && exec "$0" "$@"`, smallMemory>>10), name},
					args...)...)
		}
	},
}

// TestFullReportsInSmallMemory sends full reports as fast as possible. dlrloop must slow the callers down and store
// everything that it acknowledged.
func TestFullReportsInSmallMemory(t *testing.T) {
	for name, limit := range memoryLimits {
		t.Run(name, func(t *testing.T) {
			p := webhookOnly(t, limit)
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

// TestLargeReportInSmallMemory sends a report on the largest possible group. dlrloop must fold it in parts, and must
// continue after a kill in the middle.
func TestLargeReportInSmallMemory(t *testing.T) {
	for name, limit := range memoryLimits {
		t.Run(name, func(t *testing.T) {
			p := webhookOnly(t, limit)
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
			require.Equal(t, 2*recipients, p.delivered(), "a repeated report must not count again")
			logPeak(t, watched)
			p.stop()
		})
	}
}

// TestFullReportsOnPostgresInSmallMemory does the same with a replica on PostgreSQL. The limit does not include
// PostgreSQL's memory.
func TestFullReportsOnPostgresInSmallMemory(t *testing.T) {
	p := webhookWith(t, fmt.Sprintf("{driver: postgres, url: %q}", postgres.Database(t)), cgroupLimit(smallMemory))
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

// TestStartInSmallMemory starts dlrloop with a full journal, which it must fold within the limit.
func TestStartInSmallMemory(t *testing.T) {
	p := webhookOnly(t, cgroupLimit(smallMemory))
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
			for status == http.StatusServiceUnavailable { // not all bodies fit into the memory at the same time
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

// TestMemoryOfRecipientReports checks that recipient reports, which are most of all callbacks, need little memory
// even without a small limit, and that the memory is released after a burst.
func TestMemoryOfRecipientReports(t *testing.T) {
	p := webhookOnly(t, cgroupLimit(1<<30), "memory: {limit: 512MiB}")
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
				caller.deliver(t,
					fmt.Appendf(nil,
						`{"type":"recipient_delivery_report_sms","batch_id":"batch-%d","recipient":"4477%08d",`+
							`"code":0,`+
							`"status":"Delivered","at":"2026-01-31T12:00:00.123Z"}`, n%200, connection*reports+n))
			}
		})
	}
	sending.Wait()
	peak := watched()
	require.Equal(t, connections*reports, p.delivered())
	require.LessOrEqual(t, peak, int64(150<<20))
	eventually(t, "released: the memory", func() bool { return p.cgroup.anonymous() < 80<<20 })
	t.Logf("%d MB of anonymous memory at most, %d MB afterwards", peak>>20, p.cgroup.anonymous()>>20)
	p.stop()
}

// logPeak logs the largest memory use if the program runs in a control group.
func logPeak(t *testing.T, watched func() int64) {
	t.Helper()
	if peak := watched(); peak > 0 {
		t.Logf("%d MB of anonymous memory at most", peak>>20)
	}
}
