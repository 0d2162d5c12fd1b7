package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// holder is a Cluster that implements only AcquireLease.
type holder struct {
	store.Cluster
	held  bool
	err   error
	until []time.Time // the until argument of each call
}

func (h *holder) AcquireLease(_ context.Context, _ string, _, until time.Time) (bool, error) {
	h.until = append(h.until, until)
	return h.held, h.err
}

// slow is a holder whose AcquireLease takes some time.
type slow struct {
	holder
	takes time.Duration
}

func (s *slow) AcquireLease(ctx context.Context, name string, now, until time.Time) (bool, error) {
	time.Sleep(s.takes)
	return s.holder.AcquireLease(ctx, name, now, until)
}

// An AcquireLease that took a third of the lease or longer proves nothing: too much of the lease is over.
func TestLeaseIsNotHeldAfterASlowAcquireLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{holder: holder{held: true}, takes: 10 * time.Second}
		d := &store.LeaderLease{Cluster: s, Name: store.LeaseRetention, Duration: 30 * time.Second}
		for takes, want := range map[time.Duration]bool{10 * time.Second: false, 9 * time.Second: true} {
			s.takes = takes
			held, err := d.Held(t.Context(), time.Now())
			require.NoError(t, err)
			require.Equal(t, want, held)
			time.Sleep(time.Minute)
		}
	})
}

func TestHeldRenewsTheLeaseAfterAThirdOfIt(t *testing.T) {
	begin := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	h := &holder{held: true}
	d := &store.LeaderLease{Cluster: h, Name: store.LeaseRetention, Duration: 30 * time.Second}
	held := func(after time.Duration, want bool, attempts int) {
		t.Helper()
		got, err := d.Held(t.Context(), begin.Add(after))
		require.Equal(t, want, got)
		require.Len(t, h.until, attempts)
		if !want {
			require.Equal(t, h.err, err)
		}
	}
	held(0, true, 1)
	require.Equal(t, begin.Add(30*time.Second), h.until[0])
	h.held = false
	held(9999*time.Millisecond, true, 1)
	held(10*time.Second, false, 2)
	held(19*time.Second, false, 2)
	h.held = true
	held(20*time.Second, true, 3)

	h.err = errors.New("no database")
	held(29*time.Second, true, 3)
	held(30*time.Second, false, 4)
	held(30*time.Second, false, 5)
	h.err = nil
	held(30*time.Second, true, 6)
	held(-time.Hour, true, 7)
}

func TestSingleProcessHoldsEveryLease(t *testing.T) {
	held, err := (&store.LeaderLease{Name: store.LeaseRetention, Duration: time.Second}).Held(t.Context(), time.Now())
	require.NoError(t, err)
	require.True(t, held)
}
