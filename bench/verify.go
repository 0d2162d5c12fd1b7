package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// check returns an error unless k has the acknowledged reports, given by status, and no duplicates and quarantined
// callbacks.
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

// verify returns an error unless the dlrloop with the private listener at address stores all acknowledged reports of
// the plan, given by status.
func verify(ctx context.Context, address, plan string, acknowledged [traffic.Statuses]int) error {
	k, _, err := traffic.Stats(ctx, address, plan)
	if err != nil {
		return err
	}
	return check(k, acknowledged)
}

// feedbackTimeout is the time limit for sending the feedback after the load has ended.
const feedbackTimeout = 30 * time.Second

// verifyFeedback blocks until the dlrloop with the private listener at address has sent feedback for delivered
// recipients of the plan. It returns an error if another number of recipients earned feedback, or if feedbackTimeout
// passes.
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
