package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTallyAddAndSub(t *testing.T) {
	a := Tally{PendingTasks: 1, DeadTasks: 2, Owed: 3, Dropped: 4, Sent: 5, Dead: 6, Missing: 7}
	sum := a
	sum.Add(a)
	require.Equal(t, Tally{2, 4, 6, 8, 10, 12, 14}, sum)
	sum.Sub(a)
	require.Equal(t, a, sum)
}
