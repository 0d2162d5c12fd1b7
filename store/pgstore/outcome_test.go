package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestACommitBeforeACheckpoint has the server make a checkpoint between a commit whose answer is lost and the question what became of it. A
// server that crashed does so too, and may give the ids of the transactions that it lost to others: that one is committed by the
// id says nothing then.
func TestACommitBeforeACheckpoint(t *testing.T) {
	address := postgres.Database(t)
	p, through := newProxy(t, address)
	s := newStore(t, pgstore.Config{URL: through + steady, Lanes: 1})
	recorded := 0
	lose := func() error {
		recorded++
		cuts, done := p.timesCut(), make(chan error, 1)
		p.loseAnswerAndClose()
		go func() { done <- s.Record(t.Context(), delivered("batch", number(recorded))) }()
		require.Eventually(t, func() bool { return p.timesCut() > cuts }, patience, time.Millisecond)
		execute(t, address, "CHECKPOINT")
		p.refuse(false)
		return <-done
	}
	err := lose()
	for recorded < 5 && err == nil { // the answer was to a commit of something else
		err = lose()
	}
	require.ErrorContains(t, err, "no answer to the commit")
	before := state(t, s)
	require.Equal(t, recorded, before.Recipients, "it was committed")
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(recorded))))
	require.Equal(t, before, state(t, s))
}
