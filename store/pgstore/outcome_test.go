package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestUnknownCommitAfterCheckpoint loses the answer of a commit and makes the server take a checkpoint before the
// store asks for the outcome. A server takes one after a crash too, and may then assign the ids of lost transactions
// again, so the store must not trust the answer.
func TestUnknownCommitAfterCheckpoint(t *testing.T) {
	address := postgres.Database(t)
	p, through := newProxy(t, address)
	s := newStore(t, pgstore.Config{URL: through + steady, Lanes: 1})
	recorded := 0
	lose := func() error {
		recorded++
		cuts, done := p.timesCut(), make(chan error, 1)
		p.loseAnswerAndClose()
		go func() { done <- s.Record(t.Context(), delivered("batch", number(recorded))) }()
		require.Eventually(t, func() bool { return p.timesCut() > cuts }, timeout, time.Millisecond)
		execute(t, address, "CHECKPOINT")
		p.refuse(false)
		return <-done
	}
	err := lose()
	for recorded < 5 && err == nil { // the lost answer was that of another commit
		err = lose()
	}
	require.ErrorContains(t, err, "commit not confirmed")
	before := totalsOf(t, s)
	require.Equal(t, recorded, before.Recipients, "the transaction must have been committed")
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(recorded))))
	require.Equal(t, before, totalsOf(t, s))
}
