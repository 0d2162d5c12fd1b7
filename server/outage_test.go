package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// nowhere is a URL without a listener: the port is reserved.
const nowhere = "http://127.0.0.1:1"

// TestNothingIsMissingAfterAnOutage keeps the receiver down until Sinch has given up all callbacks. After a restart the
// reconciler must fetch the missing reports, and their feedback must reach Sinch.
func TestNothingIsMissingAfterAnOutage(t *testing.T) {
	calm := simulator.Config{Calm: true, RetryUnit: 50 * time.Microsecond}
	w := newWorldOf(t, calm, func(c *config.Config) {
		c.Plans[0].Reconcile = config.Reconcile{
			Silence: config.Duration(300 * time.Millisecond),
			Grace:   config.Duration(time.Second), Rate: 1000,
		}
	})
	require.NoError(t, w.sinch.SetCallbackURL(plan, nowhere))
	numbers := []string{number, "12025550144", "12025550145"}
	ids := make(map[string]string)
	for _, kind := range []string{"per_recipient", "per_recipient_final", "full", "summary"} {
		ids[w.sendTo(w.gateway(), kind, true, numbers...)] = kind
	}
	w.eventually("the gateway has recorded all batches", func() bool {
		for id := range ids {
			if w.batch(id).Feedback.Flag != "wanted" {
				return false
			}
		}
		return true
	})
	require.NoError(t, w.end())
	w.eventually("Sinch has given up all callbacks", w.sinch.Settled)
	for _, c := range w.sinch.Ledger().Callbacks {
		require.Equal(t, ledger.GaveUp, c.Result)
	}

	w.start()
	for id, kind := range ids {
		w.eventually(kind+": all delivered and all feedback sent", func() bool {
			b := w.batch(id)
			return b.RecipientsByStatus["Delivered"] == len(numbers) && b.Feedback.Sent == len(numbers)
		})
	}
	applied := w.sinch.Ledger().AppliedFeedback()
	require.Len(t, applied, len(ids)*len(numbers))
	for r, times := range applied {
		require.Equal(t, 1, times, "%v", r)
	}
}
