package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// started runs dlrloop with args until the test ends and returns the first lines of its output.
func started(t *testing.T, lines int, args ...string) []string {
	t.Helper()
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, in, io.Discard)
		in.Close()
	}()
	t.Cleanup(func() {
		stop()
		require.Zero(t, <-code)
	})
	scanner := bufio.NewScanner(out)
	printed := make([]string, lines)
	for i := range printed {
		require.True(t, scanner.Scan(), "%d lines of output", lines)
		printed[i] = scanner.Text()
	}
	go io.Copy(io.Discard, out)
	return printed
}

// after returns the rest of a line that must begin with word.
func after(t *testing.T, word, line string) string {
	t.Helper()
	rest, found := strings.CutPrefix(line, word)
	require.True(t, found, "%q should begin with %s", line, word)
	return strings.TrimSpace(rest)
}

func TestSimulateSendsReportsToTheWebhook(t *testing.T) {
	called := make(chan http.Header, 16)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case called <- r.Header:
		default:
		}
	}))
	t.Cleanup(webhook.Close)
	printed := started(t, 5, "simulate", "--calm", "--plan", "p", "--token", "t", "--callback", webhook.URL, "--secret",
		"s",
		"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0")
	api, ledger := after(t, "API", printed[0]), after(t, "control", printed[1])
	require.Equal(t, webhook.URL+", signed", after(t, "webhook", printed[2]))
	require.Equal(t, "none", after(t, "faults", printed[3]))
	require.Equal(t, "Press Ctrl-C to stop.", printed[4])

	send, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/batches",
		strings.NewReader(`{"to":["447700900133"],"from":"x","body":"hello","delivery_report":"per_recipient_final"}`))
	require.NoError(t, err)
	send.Header.Set("Authorization", "Bearer t")
	send.Header.Set("Content-Type", "application/json")
	sent, err := http.DefaultClient.Do(send)
	require.NoError(t, err)
	defer sent.Body.Close()
	require.Equal(t, http.StatusCreated, sent.StatusCode)

	require.NotEmpty(t, (<-called).Get("X-Sinch-Webhook-Signature"))

	read, err := http.Get(ledger)
	require.NoError(t, err)
	defer read.Body.Close()
	var content map[string]any
	require.NoError(t, json.NewDecoder(read.Body).Decode(&content))
	require.NotEmpty(t, content)
}

func TestSimulatePrintsTheSeed(t *testing.T) {
	arguments := []string{"simulate", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}
	printed := started(t, 5, arguments...)
	require.Contains(t, printed[2], "only the callback_url of each batch")
	require.Regexp(t, `^faults   random, --seed [1-9][0-9]*$`, printed[3])
	require.Equal(t, "faults   random, --seed 7", started(t, 5, append(arguments, "--seed", "7")...)[3])
	require.Contains(t, started(t, 5, append(arguments, "--callback", "http://127.0.0.1:1")...)[2],
		"http://127.0.0.1:1, not signed")
}

func TestSimulateFailsIfAnAddressIsInUse(t *testing.T) {
	taken := httptest.NewServer(nil)
	t.Cleanup(taken.Close)
	address := taken.Listener.Addr().String()
	var stderr strings.Builder
	require.Equal(t, exitFailed, run(t.Context(), []string{"simulate", "--listen", "127.0.0.1:0", "--control", address},
		io.Discard, &stderr))
	require.Contains(t, stderr.String(), "dlrloop: control: listen tcp "+address)
}

// TestSimulateReplies sends a message in each mode and checks whether the recipient replies.
func TestSimulateReplies(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  bool
	}{
		"all":             {[]string{"--replies", "1"}, true},
		"all, calm":       {[]string{"--calm", "--replies", "1"}, true},
		"calm by default": {[]string{"--calm"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			printed := started(t, 5, append([]string{
				"simulate", "--callback", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0",
				"--speed", "1000",
			}, c.flags...)...)
			to := make([]string, 40)
			for i := range to {
				to[i] = fmt.Sprintf(`"447700900%03d"`, i)
			}
			send, err := http.NewRequestWithContext(t.Context(), http.MethodPost, after(t, "API", printed[0])+"/batches",
				strings.NewReader(fmt.Sprintf(`{"to":[%s],"from":"12025550100","body":"hello"}`, strings.Join(to, ","))))
			require.NoError(t, err)
			send.Header.Set("Authorization", "Bearer demo-token")
			send.Header.Set("Content-Type", "application/json")
			sent, err := http.DefaultClient.Do(send)
			require.NoError(t, err)
			require.NoError(t, sent.Body.Close())
			require.Equal(t, http.StatusCreated, sent.StatusCode)

			state := strings.Replace(after(t, "control", printed[1]), "/ledger", "/state", 1)
			var s struct {
				Settled bool
				Inbound int `json:"callbacks_inbound"`
			}
			require.Eventually(t, func() bool {
				read, err := http.Get(state)
				require.NoError(t, err)
				defer read.Body.Close()
				require.NoError(t, json.NewDecoder(read.Body).Decode(&s))
				return s.Inbound > 0 || s.Settled
			}, time.Minute, time.Millisecond)
			require.Equal(t, c.want, s.Inbound > 0, "%+v", s)
		})
	}
}

// TestSimulateReceivesEvents delivers an event to the simulated application and reads its output and its ledger.
func TestSimulateReceivesEvents(t *testing.T) {
	lines := make(chan string, 16)
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{
			"simulate", "--calm", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--destination",
			"--destination-listen", "127.0.0.1:0",
		}, in, io.Discard)
		in.Close()
	}()
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		stop()
		require.Zero(t, <-code)
	})
	printed := make([]string, 7)
	for i := range printed {
		printed[i] = <-lines
	}
	url, found := strings.CutSuffix(after(t, "events", printed[4]), ", verifies no signatures of events")
	require.True(t, found, printed[4])
	event := `{"id":"evt_1","type":"inbound.received","timestamp":"2026-03-01T10:00:00.123Z","data":{"plan":"p",` +
		`"inbound_id":"i","from":"447700900133","to":"1","body":"hi","callback":{}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(event))
	require.NoError(t, err)
	r.Header.Set("webhook-id", "evt_1")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	require.Regexp(t, `^\d\d:\d\d:\d\d  inbound\.received +\*{10}33$`, <-lines)

	read, err := http.Get(after(t, "received", printed[5]) + "?events=1")
	require.NoError(t, err)
	defer read.Body.Close()
	var ledger struct {
		Events int
		IDs    []string
	}
	require.NoError(t, json.NewDecoder(read.Body).Decode(&ledger))
	require.Equal(t, 1, ledger.Events)
	require.Equal(t, []string{"evt_1"}, ledger.IDs)
}
