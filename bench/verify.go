package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// kept is what dlrloop's API says of the plan.
type kept struct {
	Duplicates, Quarantined int
	Messages                []struct {
		Status   string
		Messages int
	}
	Feedback struct{ Owed, Sent, Dead int }
}

// check returns an error unless k is what was acknowledged.
func (k *kept) check(acknowledged [statuses]int) error {
	if k.Duplicates+k.Quarantined != 0 {
		return fmt.Errorf("%d reports count as duplicates and %d as not understood", k.Duplicates, k.Quarantined)
	}
	messages := make(map[string]int)
	for _, m := range k.Messages {
		messages[m.Status] += m.Messages
	}
	for s := range statuses {
		if messages[s.String()] != acknowledged[s] {
			return fmt.Errorf("%d reports of %s were acknowledged, %d are kept", acknowledged[s], s, messages[s.String()])
		}
	}
	return nil
}

// verify returns an error unless the dlrloop at address keeps what it acknowledged.
func verify(ctx context.Context, address, plan string, acknowledged [statuses]int) error {
	k, err := ask(ctx, address, plan)
	if err != nil {
		return err
	}
	return k.check(acknowledged)
}

// feedbackPatience is how long feedback may take once the load is over.
const feedbackPatience = 30 * time.Second

// verifyFeedback returns an error unless the dlrloop at address sends feedback for everybody it acknowledged as delivered.
func verifyFeedback(ctx context.Context, address, plan string, delivered int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, feedbackPatience, errors.New("feedback is not sent"))
	defer cancel()
	for {
		k, err := ask(ctx, address, plan)
		switch {
		case err != nil:
			return err
		case k.Feedback.Sent == delivered:
			return nil
		case k.Feedback.Sent+k.Feedback.Owed != delivered:
			return fmt.Errorf("%d recipients earned feedback, but %+v", delivered, k.Feedback)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %+v", context.Cause(ctx), k.Feedback)
		}
	}
}

// ask reads the totals, which include everything acknowledged before.
func ask(ctx context.Context, address, plan string) (*kept, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/stats", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	var stats struct {
		Plans []struct {
			Plan string
			kept
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return nil, fmt.Errorf("read the totals: %w", err)
	}
	for _, p := range stats.Plans {
		if p.Plan == plan {
			return &p.kept, nil
		}
	}
	return nil, fmt.Errorf("read the totals: plan %s is not among %d", plan, len(stats.Plans))
}
