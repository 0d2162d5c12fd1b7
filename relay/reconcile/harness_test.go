package reconcile

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	planA  = relaytest.PlanA
	batch1 = relaytest.Batch1
	ada    = relaytest.Ada
	bob    = relaytest.Bob
)

// harness is a real store with an upstream.
type harness struct{ *relaytest.Harness }

// inBubble runs a test in a synctest bubble with a reconciler for plan A, whose read rate is high.
func inBubble(t *testing.T, test func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{relaytest.New(t)}
		h.reconcile(Plan{ID: planA, Rate: 100, PollInterval: time.Minute}, nil)
		test(t, h)
	})
}

// reconcile runs a reconciler for a plan until the end of the test. held is the Held of its Config.
func (h *harness) reconcile(p Plan, held func(context.Context, time.Time) (bool, error)) {
	h.T.Helper()
	p.Client = h.Client(p.ID)
	r, err := New(Config{Plans: []Plan{p}, Rand: relaytest.Random, Held: held}, h.Store, h.Metrics, h.Log)
	require.NoError(h.T, err)
	h.Run(r.Run)
}

// recordBatch records a batch to ada and bob as a gateway would. It expires after a day.
func (h *harness) recordBatch(batchID string, change ...func(*store.BatchInfo)) {
	h.T.Helper()
	f := info(batchID, change...)
	h.Upstream.AddBatch(batchID, f.FeedbackEnabled)
	h.Record(planA, f)
}

// info returns what recordBatch records.
func info(batchID string, change ...func(*store.BatchInfo)) store.BatchInfo {
	f := store.BatchInfo{
		BatchID: batchID, ReportKind: "per_recipient_final", FeedbackEnabled: true,
		Recipients: 2, Numbers: []string{ada, bob},
		CreatedAt: store.Now(), ModifiedAt: store.Now(), ExpireAt: store.Now().Add(24 * time.Hour),
		Source: store.FromGateway,
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// status returns the winning status of one recipient of batch1, and the source of its last report.
func (h *harness) status(number string) (dlr.Status, store.Source) {
	h.T.Helper()
	r := h.Recipient(number)
	state, _ := r.State()
	if len(r.Reports) == 0 {
		return "", 0
	}
	return state.Status, r.Reports[len(r.Reports)-1].Source
}
