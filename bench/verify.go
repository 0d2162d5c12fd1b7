package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// check returns an error if the totals from dlrloop's API differ from the numbers of acknowledged reports, which are
// counted by status. It also returns an error if dlrloop has received duplicates or callbacks that it could not parse.
func check(totals *traffic.Totals, acknowledged [traffic.NumStatuses]int) error {
	if totals.Duplicates+totals.Quarantined != 0 {
		return fmt.Errorf("%d reports were counted as duplicates and %d were quarantined", totals.Duplicates,
			totals.Quarantined)
	}
	for s := range traffic.NumStatuses {
		if n := totals.Of(s); n != acknowledged[s] {
			return fmt.Errorf("%d reports of status %s were acknowledged, %d are stored", acknowledged[s], s, n)
		}
	}
	return nil
}

// verify returns an error unless dlrloop has stored exactly the acknowledged reports, which are counted by status. It
// reads the totals of the service plan from dlrloop's API at address, such as 127.0.0.1:8081.
func verify(ctx context.Context, address, plan string, acknowledged [traffic.NumStatuses]int) error {
	k, _, err := traffic.Stats(ctx, address, plan)
	if err != nil {
		return err
	}
	return check(k, acknowledged)
}

// feedbackTimeout is how long function verifyFeedback waits until dlrloop has sent all delivery feedback. After that,
// it returns an error.
const feedbackTimeout = 30 * time.Second

// verifyFeedback blocks until dlrloop has sent delivery feedback for all delivered recipients. delivered is their
// number. verifyFeedback returns an error after feedbackTimeout, or if the number of recipients with sent or pending
// feedback differs from delivered. address is the address of dlrloop's API, such as 127.0.0.1:8081.
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

// deliveryTimeout is how long function verifyDelivered waits until dlrloop has delivered all events. After that, it
// returns an error.
const deliveryTimeout = 30 * time.Second

// verifyDelivered blocks until dlrloop has delivered all events to the application u, and returns how many events were
// undelivered at the call. It returns an error after deliveryTimeout or if a delivery failed. It also returns an error
// unless u has received exactly one event for each delivered recipient; delivered is the number of these recipients.
// address is the address of dlrloop's API.
func verifyDelivered(ctx context.Context, address string, u *traffic.Upstream, delivered int) (waiting int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, deliveryTimeout, errors.New("timeout: events were not delivered"))
	defer cancel()
	for first := true; ; first = false {
		d, err := traffic.DestinationOf(ctx, address)
		if err != nil {
			return 0, err
		}
		if first {
			waiting = d.Waiting
		}
		if d.Deferred+d.Dead > 0 {
			return 0, fmt.Errorf("%d events are deferred and %d are dead", d.Deferred, d.Dead)
		}
		if d.Waiting == 0 {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %+v", context.Cause(ctx), d)
		}
	}
	if n := u.Delivered.Load(); n != int64(delivered) {
		return 0, fmt.Errorf("%d recipients were delivered, and the application received %d events", delivered, n)
	}
	return waiting, nil
}
