package pgstore_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// opaque draws a text that does not compress, up to longer than an index row.
func opaque(t *rapid.T, name string) string {
	n := rapid.OneOf(
		rapid.IntRange(1, 64), rapid.IntRange(400, 1400), rapid.IntRange(2560, 2720), rapid.IntRange(1, 9000),
	).Draw(t, name+" length")
	alphabet := rapid.SampledFrom([]string{
		"0123456789", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		"\x00\x01\x1a\x7f\x80\xc3\xff", "äöüß€💥",
	}).Draw(t, name+" alphabet")
	random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, name+" seed")))
	var b strings.Builder
	for b.Len() < n {
		b.WriteByte(alphabet[random.IntN(len(alphabet))])
	}
	return b.String()
}

// TestRecordedArrivalIsReadable draws plans, batch ids and numbers, at least one of them short. Record must either
// refuse an arrival before a commit, or store it so that it can be read.
func TestRecordedArrivalIsReadable(t *testing.T) {
	address := postgres.Database(t)
	var observed failureLog
	s := newStore(t, pgstore.Config{URL: address, Observer: observed.observer()})
	rapid.Check(t, func(t *rapid.T) {
		plan, id, number := opaque(t, "plan"), opaque(t, "id"), opaque(t, "number")
		for _, short := range rapid.SliceOfN(rapid.SampledFrom([]*string{&plan, &id, &number}), 1, 2).Draw(t, "short") {
			*short = (*short)[:1]
		}
		reference, status := opaque(t, "reference"), dlr.Status(opaque(t, "status"))
		state := dlr.State{Status: status, Code: rapid.Int().Draw(t, "code"), At: epoch}
		report := &dlr.Report{
			Type: dlr.BatchSMS, BatchID: id, ClientReference: reference, Total: 1,
			Entries: []dlr.Entry{{State: state, Count: 1, Recipients: []string{number}}},
		}
		entry := rapid.SampledFrom([]store.Entry{
			store.Report{Report: report, Raw: []byte(reference)},
			store.BatchInfo{BatchID: id, ClientReference: reference, Recipients: 1, Numbers: []string{number}},
			store.Confirmation{BatchID: id, Recipients: []string{number}},
			store.Quarantined{Reason: dlr.NotJSON, Type: dlr.Type(reference), Raw: []byte(number)},
		}).Draw(t, "entry")
		failures := len(observed.all("commit"))
		err := s.Record(t.Context(), store.Arrival{Plan: plan, At: epoch, Entry: entry})
		require.Len(t, observed.all("commit"), failures)
		if _, ok := entry.(store.Quarantined); ok || err != nil {
			return
		}
		r, err := s.Recipient(t.Context(), store.BatchKey{Plan: plan, BatchID: id}, number)
		require.NoError(t, err)
		require.Equal(t, number, r.Number)
		_, err = s.Claim(t.Context(), plan, epoch.Add(time.Hour), time.Minute, 10)
		require.NoError(t, err)
	})
}

// TestMaximumKeyLength tests keys around the limit. Keys from Sinch are far shorter.
func TestMaximumKeyLength(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t)})
	random := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('!' + random.IntN(90))
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		plan, id, number int
		kept             bool
	}{
		"longest plan":      {2598, 1, 1, true},
		"longest batch id":  {1, 2598, 1, true},
		"longest number":    {1, 1, 2598, true},
		"equal thirds":      {866, 867, 867, true},
		"plan too long":     {2599, 1, 1, false},
		"batch id too long": {1, 2600, 1, false},
		"number too long":   {1, 1, 2599, false},
		"all too long":      {9000, 9000, 9000, false},
	} {
		t.Run(name, func(t *testing.T) {
			plan, id, number := text(c.plan), text(c.id), "x"+text(c.number-1)
			confirmed := store.Confirmation{BatchID: id, Recipients: []string{number}}
			err := s.Record(t.Context(), store.Arrival{Plan: plan, At: epoch, Entry: confirmed})
			if !c.kept {
				require.ErrorContains(t, err, "at most 2600 are allowed")
				return
			}
			require.NoError(t, err)
			_, err = s.Recipient(t.Context(), store.BatchKey{Plan: plan, BatchID: id}, number)
			require.NoError(t, err)
		})
	}
}
