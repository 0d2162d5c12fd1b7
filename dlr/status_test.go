package dlr

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatuses(t *testing.T) {
	require.ElementsMatch(t, []Status{
		"Queued", "Dispatched", "Delivered", "Failed", "Rejected", "Aborted", "Expired", "Cancelled", "Deleted", "Unknown",
	}, Statuses())
	require.Equal(t, []Status{Queued, Dispatched}, Statuses()[:2])
	Statuses()[0] = "mine"
	require.Equal(t, Queued, Statuses()[0], "the caller owns the slice")

	for _, s := range Statuses() {
		require.True(t, s.Known(), s)
		require.Equal(t, s != Queued && s != Dispatched, s.Final(), s)
		require.Equal(t, s, s.Label())
		text := string(s)
		for _, spelling := range []string{text, strings.ToUpper(text), strings.ToLower(text), " " + text + "\n"} {
			require.Equal(t, s, ParseStatus(spelling))
		}
	}
}

func TestCanceledIsCancelled(t *testing.T) {
	for _, spelling := range []string{"Cancelled", "cancelled", "canceled", "Canceled", "CANCELED"} {
		require.Equal(t, Cancelled, ParseStatus(spelling))
	}
}

func TestAnUndocumentedStatusIsKept(t *testing.T) {
	s := ParseStatus(" Deferred ")
	require.Equal(t, Status("Deferred"), s)
	require.False(t, s.Known())
	require.False(t, s.Final())
	require.Equal(t, Other, s.Label())
	require.Equal(t, Other, Status("").Label())
	require.Equal(t, Other, Status("delivered").Label(), "only ParseStatus accepts other spellings")
	require.Empty(t, ParseStatus(" \t"))
}

func TestTheStatusNeverFollowsFromTheCode(t *testing.T) {
	for _, status := range Statuses() {
		for _, code := range []int{0, 11, 14, 15, 34, 60, 400, 401, 407} {
			state := recipientMembers().with("status", status).with("code", code).report(t).Entries[0].State
			require.Equal(t, status, state.Status)
			require.Equal(t, code, state.Code)
		}
	}
}
