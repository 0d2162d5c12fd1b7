package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// check returns an error unless k matches the acknowledged reports, without duplicates and quarantined ones.
func check(k *traffic.Totals, acknowledged [traffic.Statuses]int) error {
	if k.Duplicates+k.Quarantined != 0 {
		return fmt.Errorf("%d reports were counted as duplicates and %d were quarantined", k.Duplicates, k.Quarantined)
	}
	for s := range traffic.Statuses {
		if k.Of(s) != acknowledged[s] {
			return fmt.Errorf("%d reports of status %s were acknowledged, %d are stored", acknowledged[s], s, k.Of(s))
		}
	}
	return nil
}

// verify returns an error unless the dlrloop at address stores everything that it acknowledged.
func verify(ctx context.Context, address, plan string, acknowledged [traffic.Statuses]int) error {
	k, _, err := traffic.Stats(ctx, address, plan)
	if err != nil {
		return err
	}
	return check(k, acknowledged)
}

// feedbackTimeout is how long sending the feedback may take after the load has ended.
const feedbackTimeout = 30 * time.Second

// verifyFeedback waits until the dlrloop at address has sent feedback for all delivered recipients. It returns an
// error if the count is wrong or feedbackTimeout passes.
func verifyFeedback(ctx context.Context, address, plan string, delivered int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, feedbackTimeout, errors.New("timeout: feedback was not sent"))
	defer cancel()
	for {
		k, _, err := traffic.Stats(ctx, address, plan)
		switch {
		case err != nil:
			return err
		case k.Feedback.Sent == delivered:
			return nil
		case k.Feedback.Sent+k.Feedback.Owed != delivered:
			return fmt.Errorf("%d recipients earned feedback, but the totals are %+v", delivered, k.Feedback)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%w: %+v", context.Cause(ctx), k.Feedback)
		}
	}
}
