package dlr

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

var (
	noon   = at("2025-08-18 12:00:00.000")
	finals = Statuses()[2:]
)

// drawState draws times and codes from few values, so that two draws often tie.
func drawState(t *rapid.T) State {
	return State{
		Status:     rapid.SampledFrom(append(Statuses(), "Deferred", "Buffered")).Draw(t, "status"),
		Code:       rapid.SampledFrom([]int{NoCode, 0, 401, 407}).Draw(t, "code"),
		At:         drawTime(t, "at"),
		OperatorAt: drawTime(t, "operator_at"),
	}
}

// drawNear draws a state that differs from s in at most one member. Independent draws rarely reach the last members of
// a comparison.
func drawNear(t *rapid.T, s State) State {
	other := drawState(t)
	switch rapid.IntRange(0, 3).Draw(t, "member") {
	case 0:
		s.Status = other.Status
	case 1:
		s.Code = other.Code
	case 2:
		s.At = other.At
	case 3:
		s.OperatorAt = other.OperatorAt
	}
	return s
}

func drawTime(t *rapid.T, label string) time.Time {
	step := rapid.IntRange(-1, 3).Draw(t, label)
	if step < 0 {
		return time.Time{}
	}
	return noon.Add(time.Duration(step) * time.Millisecond)
}

func drawFinal(t *rapid.T, label string) Status { return rapid.SampledFrom(finals).Draw(t, label) }

// last returns the state of a recipient after these reports.
func last(states []State) State {
	held := states[0]
	for _, s := range states[1:] {
		if s.Compare(held) > 0 {
			held = s
		}
	}
	return held
}

func requireWins(t require.TestingT, winner, loser State) {
	require.Positive(t, winner.Compare(loser), "%v over %v", winner, loser)
	require.Negative(t, loser.Compare(winner), "%v under %v", loser, winner)
	require.Equal(t, winner, last([]State{winner, loser}))
	require.Equal(t, winner, last([]State{loser, winner}))
}

func sign(n int) int { return min(max(n, -1), 1) }

func TestCompareIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawState(t)
		b := drawNear(t, a)
		c := rapid.SampledFrom([]State{drawNear(t, b), drawState(t)}).Draw(t, "c")
		require.Zero(t, a.Compare(a))
		require.Equal(t, sign(a.Compare(b)), -sign(b.Compare(a)), "antisymmetric")
		require.Equal(t, a == b, a.Compare(b) == 0, "zero only for equal states")
		if a.Compare(b) >= 0 && b.Compare(c) >= 0 {
			require.GreaterOrEqual(t, a.Compare(c), 0, "transitive")
			require.Equal(t, a.Compare(c) == 0, a.Compare(b) == 0 && b.Compare(c) == 0)
		}
	})
}

func TestTheSameTimeInAnotherZoneIsTheSameState(t *testing.T) {
	zone := time.FixedZone("", 7200)
	a := State{Status: Failed, Code: 1, At: noon, OperatorAt: noon}
	b := State{Status: Failed, Code: 1, At: noon.In(zone), OperatorAt: noon.In(zone)}
	require.Zero(t, a.Compare(b))
	require.True(t, a.SameReport(b))
}

func TestAnyOrderAndRepetitionEndsInTheSameState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		states := []State{drawState(t)}
		for range rapid.IntRange(0, 7).Draw(t, "more") {
			states = append(states, drawNear(t, states[len(states)-1]))
		}
		want := last(states)
		arrivals := rapid.Permutation(states).Draw(t, "order")
		repeats := rapid.SliceOf(rapid.SampledFrom(states)).Draw(t, "repeats")
		require.Equal(t, want, last(append(arrivals, repeats...)))
		require.Equal(t, want, last(append(repeats, arrivals...)))
	})
}

func TestFinalWinsOverIntermediateWhateverArrivedLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		final, intermediate := drawState(t), drawState(t)
		final.Status = drawFinal(t, "final")
		intermediate.Status = rapid.SampledFrom([]Status{Queued, Dispatched, "Deferred"}).Draw(t, "intermediate")
		requireWins(t, final, intermediate)
	})
}

func TestTheLaterFinalWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		early, late := drawState(t), drawState(t)
		early.Status, late.Status = drawFinal(t, "early"), drawFinal(t, "late")
		if !late.Time().After(early.Time()) {
			late.OperatorAt = early.Time().Add(time.Millisecond)
		}
		requireWins(t, late, early)
	})
}

func TestTheLaterIntermediateWins(t *testing.T) {
	early := State{Status: Dispatched, Code: 401, At: noon}
	requireWins(t, State{Status: Queued, Code: 400, At: noon.Add(time.Millisecond)}, early)
	requireWins(t, State{Status: "Deferred", At: noon.Add(time.Millisecond)}, early)
	requireWins(t, early, State{Status: Queued, Code: 400, At: noon})
	requireWins(t, early, State{Status: "Deferred", At: noon})
}

func TestDeliveredIsNotUndoneByAnOlderFinal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delivered, older := drawState(t), drawState(t)
		delivered.Status, older.Status = Delivered, drawFinal(t, "older")
		if !older.Time().Before(delivered.Time()) {
			delivered.OperatorAt = older.Time().Add(time.Millisecond)
		}
		requireWins(t, delivered, older)
	})
}

func TestDeliveredIsNotUndoneByAnUndatedFinal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delivered := drawState(t)
		delivered.Status = Delivered
		undated := State{Status: drawFinal(t, "undated"), Code: rapid.IntRange(NoCode, 500).Draw(t, "code")}
		if undated.Status == Delivered {
			undated.Status = Expired
		}
		requireWins(t, delivered, undated)
	})
}

func TestDeliveredWinsOverAnotherFinalOfTheSameTime(t *testing.T) {
	for _, other := range finals {
		if other != Delivered {
			requireWins(t, State{Status: Delivered, At: noon}, State{Status: other, Code: 500, At: noon})
			requireWins(t, State{Status: Delivered}, State{Status: other, Code: 500})
		}
	}
}

func TestAnyTimeWinsOverNone(t *testing.T) {
	requireWins(t, State{Status: Failed, At: noon}, State{Status: Delivered})
	requireWins(t, State{Status: Failed, OperatorAt: noon}, State{Status: Delivered})
	requireWins(t, State{Status: Failed, At: time.UnixMilli(1).UTC()}, State{Status: Delivered})
}

func TestTheOperatorsTimeCounts(t *testing.T) {
	late := State{Status: Expired, At: noon, OperatorAt: noon.Add(-time.Second)}
	early := State{Status: Delivered, At: noon.Add(time.Hour), OperatorAt: noon.Add(-time.Minute)}
	requireWins(t, late, early)
	require.Equal(t, noon.Add(-time.Second), late.Time())
	require.Equal(t, noon, State{At: noon}.Time())
	require.True(t, State{}.Time().IsZero())
}

func TestSameReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawState(t)
		b := drawNear(t, a)
		same := a.Status == b.Status && a.Code == b.Code && a.At == b.At
		require.Equal(t, same, a.SameReport(b))
		require.Equal(t, same, b.SameReport(a))
		require.True(t, a.SameReport(a))
	})
}

func TestDispatchedDoesNotReplaceDelivered(t *testing.T) {
	read := func(name string) State {
		got, err := Parse(fixtures.Read(t, name))
		require.NoError(t, err)
		return got.Report.Entries[0].State
	}
	requireWins(t, read("cb-rdr-sms-delivered.json"), read("cb-rdr-sms-dispatched.json"))
}
