package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator"
)

// batch describes a batch of messages that the demo sends: the value of delivery_report in the request, the number of
// recipients, and whether the batch wants delivery feedback.
type batch struct {
	kind       string
	recipients int
	feedback   bool
}

// scenario lists the batches that the demo sends: one for each value of delivery_report, and one more that does not
// want feedback.
var scenario = [...]batch{
	{"per_recipient", 80, true},
	{"per_recipient_final", 60, true},
	{"summary", 40, true},
	{"full", 50, true},
	{"per_recipient_final", 40, false},
	{"none", 20, false},
}

const (
	batchPause = 500 * time.Millisecond
	roundPause = 5 * time.Second
)

// sendBatches sends every batch in scenario, and then makes a simulated phone send an inbound message. If once is true,
// it then returns the result of waitUntilIdle. If once is false, it repeats the batches and the message until ctx ends.
// It returns nil if ctx ends during the sending, and an error at once if a batch or the message cannot be sent.
func (w *world) sendBatches(ctx context.Context, once bool) error {
	for number := 1; ; {
		for _, b := range scenario {
			if err := w.send(ctx, b, number); err != nil {
				return ignoreEnd(ctx, err)
			}
			number++
			if !sleep(ctx, batchPause) {
				return nil
			}
		}
		if err := w.receiveStop(ctx, number); err != nil {
			return ignoreEnd(ctx, err)
		}
		if once {
			return w.waitUntilIdle(ctx)
		}
		if !sleep(ctx, roundPause) {
			return nil
		}
	}
}

// send sends the batch b through dlrloop's gateway to the simulated Sinch, and prints a line about the sent batch.
// number is 1 for the first batch of the demo, 2 for the second, and so on. The phone numbers of the recipients are
// derived from number.
func (w *world) send(ctx context.Context, b batch, number int) error {
	to := make([]string, b.recipients)
	for i := range to {
		to[i] = fmt.Sprintf("+1202555%04d", (number*100+i)%10000)
	}
	body, err := json.Marshal(map[string]any{
		"from": "12025550100", "to": to, "body": "Hello from the demo", "delivery_report": b.kind,
		"feedback_enabled": b.feedback, "client_reference": fmt.Sprintf("demo-%d", number),
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.private("/xms/v1/"+plan+"/batches"),
		bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	var sent struct{ ID string }
	if err := call(r, &sent); err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	w.printer.sent(sent.ID, b)
	return nil
}

// receiveStop makes a simulated phone send the message STOP, and blocks until dlrloop's API shows this message. number
// selects the phone: the first recipient of the batch that send sends for the same number. receiveStop returns an error
// if ctx ends first, or if the simulator or the API fails.
func (w *world) receiveStop(ctx context.Context, number int) error {
	from := fmt.Sprintf("1202555%04d", number*100%10000)
	id, err := w.sinch.Receive(simulator.Inbound{Plan: plan, From: from, To: "12025550100", Body: []byte(`"STOP"`)})
	if err != nil {
		return err
	}
	w.printer.received(from)
	for {
		var page struct {
			Items []struct{ ID, Text string }
		}
		if err := w.get(ctx, "/api/v1/inbound?number="+from, &page); err != nil {
			return err
		}
		for _, m := range page.Items {
			if m.ID == id {
				w.printer.stored(from, m.Text)
				return nil
			}
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// waitUntilIdle blocks until nothing is left to do. The simulated Sinch must have sent all callbacks, and accepted the
// feedback for all recipients that the method feedback returns as expected. The simulated application must have
// accepted all events. waitUntilIdle returns an error after idleTimeout, or if ctx ends first or dlrloop's API fails.
func (w *world) waitUntilIdle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, idleTimeout)
	defer cancel()
	for {
		settled := w.sinch.Settled() // read before the tasks: later callbacks could create pending tasks
		pending, err := w.pending(ctx)
		if err != nil {
			return err
		}
		expected, applied := w.feedback()
		missing := countMissing(expected, applied)
		undelivered := w.undelivered()
		if settled && pending == 0 && missing == 0 && undelivered == 0 {
			return nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("not idle after %s: %d feedback tasks are pending, the feedback of %d recipients is missing, "+
				"and %d events have not reached the application", idleTimeout, pending, missing, undelivered)
		}
	}
}

// get sends a GET request to dlrloop's private listener and decodes the JSON answer into the variable that answer
// points to. The argument path is the path of the URL and may include a query. An answer with a status other than 2xx
// is an error.
func (w *world) get(ctx context.Context, path string, answer any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.private(path), nil)
	if err != nil {
		return err
	}
	return call(r, answer)
}

func call(r *http.Request, answer any) error {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s answered %s: %.200s", r.Method, r.URL.Path, response.Status, body)
	}
	return json.Unmarshal(body, answer)
}

// sleep waits for d and returns true. If ctx ends first, it returns false at once.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// ignoreEnd returns nil if ctx has ended, else err. The end of the demo causes errors in calls that are in flight, and
// these are to be ignored.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
