package copying_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// Arrivals recorded after a copy are added to the copied data and replace nothing, neither in the report log, whose
// chunk numbers continue, nor in the totals.
func TestRecordingContinuesAfterACopy(t *testing.T) {
	t.Parallel()
	first, there, back := newFolder(t), newDatabase(t), newFolder(t)
	s := first.open(t)
	h := live(t, s, 40)
	require.NoError(t, s.Close())
	for _, way := range [][2]place{{first, there}, {there, back}} {
		copied(t, way[0], way[1])
		s := way[1].open(t)
		before := look(t, s)
		h.s, h.now = s, h.now.Add(time.Hour)
		for _, b := range before.Batches {
			h.record(b.Plan, parsed(t, map[string]any{
				"type": dlr.RecipientSMS, "batch_id": b.ID, "recipient": "447700900999",
				"status": dlr.Delivered, "code": 0, "at": h.now,
			}))
		}
		after := look(t, s)
		for key, reports := range before.Reports {
			require.Len(t, after.Reports[key], len(reports)+1, "%q", key)
			same(t, key, reports, after.Reports[key][:len(reports)])
		}
		for i, p := range before.Stats {
			require.Equal(t, p.Batches, after.Stats[i].Batches)
			require.Equal(t, p.Quarantined, after.Stats[i].Quarantined)
			require.GreaterOrEqual(t, after.Stats[i].Recipients, p.Recipients)
		}
		h.now = h.now.Add(time.Minute)
		h.record("plan", store.Confirmation{BatchID: "new " + h.now.String(), WholeBatch: true})
		page, err := s.Batches(t.Context(), store.BatchQuery{Paging: store.Paging{Limit: 1}})
		require.NoError(t, err)
		require.Equal(t, "new "+h.now.String(), page.Items[0].ID)
		require.NoError(t, s.Close())
	}
}

// A replica that starts while its database is the source of a copy acknowledges nothing: Record returns an error.
func TestSourceIsReadOnly(t *testing.T) {
	t.Parallel()
	p := newDatabase(t)
	s := p.open(t)
	live(t, s, 3)
	require.NoError(t, s.Close())
	source := p.source(t)
	c := p.config()
	c.StatementTimeout = 200 * time.Millisecond
	late, err := pgstore.Open(t.Context(), c)
	require.NoError(t, err)
	defer late.Close() //nolint:errcheck // Close returns no error here
	a := store.Arrival{Plan: "plan", At: noon, Entry: store.Confirmation{BatchID: "late", WholeBatch: true}}
	require.Error(t, late.Record(t.Context(), a))
	require.NoError(t, source.Close())
	_, err = late.Batch(context.Background(), store.BatchKey{Plan: "plan", BatchID: "late"})
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, late.Record(t.Context(), a))
}
