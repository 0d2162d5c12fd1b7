package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// check returns an error if totals do not match acknowledged, the number of acknowledged reports of each status. It
// also returns an error if totals count duplicates or quarantined callbacks, which dlrloop could not parse.
func check(totals *traffic.Totals, acknowledged [traffic.Statuses]int) error {
	if totals.Duplicates+totals.Quarantined != 0 {
		return fmt.Errorf("%d reports were counted as duplicates and %d were quarantined", totals.Duplicates,
			totals.Quarantined)
	}
	for s := range traffic.Statuses {
		if n := totals.Of(s); n != acknowledged[s] {
			return fmt.Errorf("%d reports of status %s were acknowledged, %d are stored", acknowledged[s], s, n)
		}
	}
	return nil
}

// verify returns an error unless dlrloop stores exactly the acknowledged reports of the service plan. acknowledged is
// the number of reports of each status. address is that of dlrloop's private listener.
func verify(ctx context.Context, address, plan string, acknowledged [traffic.Statuses]int) error {
	k, _, err := traffic.Stats(ctx, address, plan)
	if err != nil {
		return err
	}
	return check(k, acknowledged)
}

// feedbackTimeout is how long verifyFeedback waits for dlrloop to send all feedback.
const feedbackTimeout = 30 * time.Second

// verifyFeedback blocks until dlrloop has sent feedback for as many recipients of the service plan as delivered says.
// It returns an error after feedbackTimeout, or if the sum of sent and owed feedback differs from delivered. address is
// that of dlrloop's private listener.
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
