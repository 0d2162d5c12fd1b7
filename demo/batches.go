package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// batch is one that the demo sends.
type batch struct {
	kind       string
	recipients int
	feedback   bool
}

// acts are the batches of the story, one of every report kind, and more of the kind that teams use.
var acts = [...]batch{
	{"per_recipient", 80, true},
	{"per_recipient_final", 60, true},
	{"summary", 40, true},
	{"full", 50, true},
	{"per_recipient_final", 40, false},
	{"none", 20, false},
}

const (
	betweenActs  = 500 * time.Millisecond
	betweenTales = 5 * time.Second
)

// tell sends the batches. Once: it returns when all is quiet. Else it begins again and again, and returns when ctx ends.
func (w *world) tell(ctx context.Context, once bool) error {
	for number := 1; ; {
		for _, b := range acts {
			if err := w.send(ctx, b, number); err != nil {
				return ignoreEnd(ctx, err)
			}
			number++
			if !sleep(ctx, betweenActs) {
				return nil
			}
		}
		if once {
			return w.settle(ctx)
		}
		if !sleep(ctx, betweenTales) {
			return nil
		}
	}
}

// send sends a batch as any application would whose base URL is dlrloop's gateway.
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
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.private("/xms/v1/"+plan+"/batches"), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	r.Header.Set("Content-Type", "application/json")
	var sent struct{ ID string }
	if err := call(r, &sent); err != nil {
		return fmt.Errorf("send batch: %w", err)
	}
	w.story.sent(sent.ID, b)
	return nil
}

// settle waits until Sinch has nothing more to say and nothing is owed to it.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		quiet := w.sinch.Settled() // first: what Sinch sends after this is not pending yet
		pending, err := w.pending(ctx)
		if err != nil {
			return err
		}
		expected, applied := w.feedback()
		missing := without(expected, applied)
		if quiet && pending == 0 && missing == 0 {
			return nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("not at rest after %s: %d feedback tasks are pending, %d recipients lack their feedback", patience, pending, missing)
		}
	}
}

// get reads a page of dlrloop's API.
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

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// ignoreEnd drops an error that is only ctx's end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
