package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// eventSecret is a secret of Standard Webhooks: the prefix whsec_ and 24 bytes in Base64.
const eventSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// application is node/receiver.mjs: an application behind dlrloop that verifies deliveries with npm packages.
type application struct {
	url string

	mu       sync.Mutex
	accepted map[string][]json.RawMessage // bodies by path, in the order of arrival; guarded by mu
	refused  []string                     // deliveries that did not verify; guarded by mu
}

// startApplication starts the application and ends it with the test.
func startApplication(t *testing.T) *application {
	t.Helper()
	c := exec.Command(installNodeClient(t), "receiver.mjs")
	c.Dir, c.Stderr = "node", os.Stderr
	c.Env = append(os.Environ(), "EVENT_SECRET="+eventSecret, "WEBHOOK_SECRET="+secret)
	input, err := c.StdinPipe()
	require.NoError(t, err)
	output, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewScanner(output)
	require.True(t, lines.Scan(), "the application must print its port")
	a := &application{url: "http://127.0.0.1:" + lines.Text(), accepted: make(map[string][]json.RawMessage)}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			a.print(lines.Bytes())
		}
	})
	t.Cleanup(func() {
		require.NoError(t, input.Close())
		reading.Wait()
		require.NoError(t, c.Wait())
		require.Empty(t, a.refused, "deliveries that did not verify")
	})
	return a
}

func (a *application) print(line []byte) {
	var printed struct {
		Path, Error string
		Body        json.RawMessage
	}
	err := json.Unmarshal(line, &printed)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || printed.Error != "" {
		a.refused = append(a.refused, string(line))
		return
	}
	a.accepted[printed.Path] = append(a.accepted[printed.Path], printed.Body)
}

// deliveries returns the bodies accepted at path, in the order of arrival.
func (a *application) deliveries(path string) []json.RawMessage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]json.RawMessage(nil), a.accepted[path]...)
}

// withDestinations returns a program for the plan that delivers to the application: events one by one, events in
// arrays, and callbacks as Sinch sent them.
func withDestinations(t *testing.T, a *application) *program {
	t.Helper()
	return configured(t, fmt.Sprintf(`
store: {path: %q}
log: {level: warn, format: json}
plans:
  - id: %s
    base_url: http://127.0.0.1:9
    token: %s
    webhook: {auth: {hmac: {secrets: [%s]}}}
    feedback: {on: "off"}
destinations:
  - {name: events, url: %[5]s/events, secrets: [%[6]s]}
  - {name: sinch, url: %[5]s/sinch, format: sinch}
`, filepath.Join(t.TempDir(), "data"), plan, token, secret, a.url, eventSecret))
}

// call sends a signed callback and requires the answer 200.
func (p *program) call(body string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, "http://"+p.public+"/webhooks/"+plan,
		strings.NewReader(body))
	require.NoError(p.t, err)
	request.Header = signature(secret, []byte(body))
	response, err := http.DefaultClient.Do(request)
	require.NoError(p.t, err)
	require.NoError(p.t, response.Body.Close())
	require.Equal(p.t, http.StatusOK, response.StatusCode)
}

const stopMessage = `{"type":"mo_text","id":"01KJQ7Q1X0STOP0000000000E5","from":"447700900133","to":"54321",` +
	`"body":"STOP"}`

// recipientReport returns a recipient report for message n of the batch.
func recipientReport(batch string, n int, status string, code int) string {
	return fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":"4477%08d","code":%d,`+
		`"status":%q,"at":"2026-11-30T10:00:0%d.000Z"}`, batch, n, code, status, 1+code%7)
}

// TestDeliveriesVerify delivers to an application that verifies with the npm packages standardwebhooks and @sinch/sms.
func TestDeliveriesVerify(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	p := withDestinations(t, a)
	p.start()
	const recipients = 20
	for n := range recipients {
		for _, report := range []string{
			recipientReport("01KJQ5Z3C0AAAA0000000000A1", n, "Dispatched", 401),
			recipientReport("01KJQ5Z3C0AAAA0000000000A1", n, "Delivered", 0),
			recipientReport("01KJQ5Z3C0AAAA0000000000A1", n, "Dispatched", 401), // a repeat
		} {
			p.call(report)
		}
	}
	p.call(stopMessage)
	eventually(t, "delivered", func() bool {
		return len(a.deliveries("/events")) >= 2*recipients+1 && len(a.deliveries("/sinch")) >= 2*recipients+1
	})
	p.stop()

	last, version := map[string]string{}, int64(0)
	for _, body := range a.deliveries("/events") {
		var e struct {
			Type string
			Data struct {
				Recipient, Status string
				Version           int64
			}
		}
		require.NoError(t, json.Unmarshal(body, &e))
		if e.Type == "recipient.status" {
			require.Greater(t, e.Data.Version, version, "the events of a batch must be in order")
			version, last[e.Data.Recipient] = e.Data.Version, e.Data.Status
		}
	}
	require.Len(t, last, recipients)
	for number, status := range last {
		require.Equal(t, "Delivered", status, number)
	}
	require.Len(t, a.deliveries("/sinch"), 2*recipients+1, "dlrloop absorbs repeats")
}

// TestStopMessageReachesTheApplication kills dlrloop as soon as a STOP message is answered 200. After the restart, the
// application must receive the message.
func TestStopMessageReachesTheApplication(t *testing.T) {
	t.Parallel()
	a := startApplication(t)
	p := withDestinations(t, a)
	p.start()
	p.call(stopMessage)
	p.kill()
	p.start()
	for _, path := range []string{"/events", "/sinch"} {
		eventually(t, "delivered to "+path, func() bool {
			for _, body := range a.deliveries(path) {
				if strings.Contains(string(body), "01KJQ7Q1X0STOP0000000000E5") {
					return true
				}
			}
			return false
		})
	}
	var page struct {
		Items []struct{ ID string }
	}
	p.get("/api/v1/inbound", &page)
	require.Len(t, page.Items, 1)
	p.stop()
}
