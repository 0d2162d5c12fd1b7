package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// check returns an error unless k is what was acknowledged.
func check(k *traffic.Totals, acknowledged [traffic.Statuses]int) error {
	if k.Duplicates+k.Quarantined != 0 {
		return fmt.Errorf("%d reports count as duplicates and %d as not understood", k.Duplicates, k.Quarantined)
	}
	for s := range traffic.Statuses {
		if k.Of(s) != acknowledged[s] {
			return fmt.Errorf("%d reports of %s were acknowledged, %d are kept", acknowledged[s], s, k.Of(s))
		}
	}
	return nil
}

// verify returns an error unless the dlrloop at address keeps what it acknowledged.
func verify(ctx context.Context, address, plan string, acknowledged [traffic.Statuses]int) error {
	k, _, err := traffic.Stats(ctx, address, plan)
	if err != nil {
		return err
	}
	return check(k, acknowledged)
}

// feedbackPatience is how long feedback may take once the load is over.
const feedbackPatience = 30 * time.Second

// verifyFeedback returns an error unless the dlrloop at address sends feedback for everybody it acknowledged as delivered.
func verifyFeedback(ctx context.Context, address, plan string, delivered int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, feedbackPatience, errors.New("feedback is not sent"))
	defer cancel()
	for {
		k, _, err := traffic.Stats(ctx, address, plan)
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
