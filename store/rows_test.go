package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
)

// at returns the time that many seconds after a fixed one.
func at(seconds int) time.Time {
	return time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

func report(s dlr.Status, code int, when time.Time) RecipientReport {
	return RecipientReport{State: dlr.State{Status: s, Code: code, At: when}}
}

func TestEffects(t *testing.T) {
	for name, test := range map[string]struct {
		reports []RecipientReport
		want    []Effect
	}{
		"none": {nil, []Effect{}},
		"one":  {[]RecipientReport{report(dlr.Delivered, 0, at(0))}, []Effect{Holds}},
		"in order": {
			[]RecipientReport{
				report(dlr.Queued, 400, at(0)), report(dlr.Dispatched, 401, at(1)), report(dlr.Delivered, 0, at(2)),
			},
			[]Effect{Superseded, Superseded, Holds},
		},
		"late intermediate": {
			[]RecipientReport{report(dlr.Delivered, 0, at(0)), report(dlr.Dispatched, 401, at(9))},
			[]Effect{Holds, Intermediate},
		},
		"older": {[]RecipientReport{report(dlr.Failed, 34, at(9)), report(dlr.Expired, 406, at(0))}, []Effect{Holds, Older}},
		"older intermediate": {
			[]RecipientReport{report(dlr.Dispatched, 401, at(9)), report(dlr.Queued, 400, at(0))},
			[]Effect{Holds, Older},
		},
		"without a time": {
			[]RecipientReport{report(dlr.Failed, 34, at(9)), report(dlr.Delivered, 0, time.Time{})},
			[]Effect{Holds, Older},
		},
		"outranked": {
			[]RecipientReport{report(dlr.Delivered, 0, at(0)), report(dlr.Failed, 34, at(0))},
			[]Effect{Holds, Outranked},
		},
		"outranks": {
			[]RecipientReport{report(dlr.Failed, 34, at(0)), report(dlr.Delivered, 0, at(0))},
			[]Effect{Superseded, Holds},
		},
		"undocumented, late": {
			[]RecipientReport{report(dlr.Failed, 34, at(0)), report("Teleported", 7, at(9))},
			[]Effect{Holds, Intermediate},
		},
		"superseded then lost": {
			[]RecipientReport{report(dlr.Failed, 34, at(1)), report(dlr.Expired, 406, at(2)), report(dlr.Failed, 35, at(0))},
			[]Effect{Superseded, Holds, Older},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := Recipient{Reports: test.reports}
			require.Equal(t, test.want, r.Effects())
		})
	}
}

func TestEffectsAgreeWithState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Recipient{Reports: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) RecipientReport {
			times := rapid.SampledFrom([]time.Time{{}, at(1), at(2), at(3)})
			statuses := []dlr.Status{dlr.Queued, dlr.Dispatched, dlr.Delivered, dlr.Failed, dlr.Expired, "Teleported"}
			s := report(rapid.SampledFrom(statuses).Draw(t, "status"), 0, times.Draw(t, "at"))
			s.OperatorAt = times.Draw(t, "operator_at")
			return s
		}), 1, 12).Draw(t, "reports")}
		state, named := r.State()
		require.True(t, named)
		holds := 0
		for i, e := range r.Effects() {
			require.Contains(t, []Effect{Holds, Superseded, Intermediate, Older, Outranked}, e)
			if e == Holds {
				holds++
				require.Zero(t, r.Reports[i].Compare(state))
			} else {
				require.LessOrEqual(t, r.Reports[i].Compare(state), 0)
			}
		}
		require.Equal(t, 1, holds)
	})
}

func TestRecipientThatNoReportNames(t *testing.T) {
	_, named := (&Recipient{}).State()
	require.False(t, named)
}

func TestMessagesIsTheLargerCount(t *testing.T) {
	require.Equal(t, 3, Reported{Named: 3, Claimed: 2}.Messages())
	require.Equal(t, 3, Reported{Named: 2, Claimed: 3}.Messages())
}

func TestBatchOfEntry(t *testing.T) {
	for _, n := range []Entry{
		Report{Report: &dlr.Report{BatchID: "batch"}},
		BatchInfo{BatchID: "batch"},
		Confirmation{BatchID: "batch"},
		Settlement{BatchID: "batch"},
		Requeue{BatchID: "batch"},
		ReportFetched{BatchID: "batch"},
	} {
		require.Equal(t, "batch", n.Batch(), "%T", n)
	}
	require.Empty(t, Quarantined{}.Batch())
	require.Equal(t, BatchKey{"plan", "batch"}, (&Batch{Plan: "plan", ID: "batch"}).Key())
}

func TestSentAt(t *testing.T) {
	require.Equal(t, at(0), BatchInfo{CreatedAt: at(0)}.SentAt())
	require.Equal(t, at(5), BatchInfo{CreatedAt: at(0), SendAt: at(5)}.SentAt())
	require.Equal(t, at(0), BatchInfo{CreatedAt: at(0), SendAt: at(-5)}.SentAt(), "a past send_at means at once")
	require.Zero(t, BatchInfo{}.SentAt())
}

func TestStrings(t *testing.T) {
	require.Equal(t, "callback polled gateway registered",
		FromCallback.String()+" "+FromPoll.String()+" "+FromGateway.String()+" "+FromRegistration.String())
	require.Equal(t, "progress accepted retry dead released split",
		fmt.Sprint(OutcomeProgress, OutcomeAccepted, OutcomeRetry, OutcomeDead, OutcomeReleased, OutcomeSplit))
	require.Equal(t, "unknown wanted unwanted", FlagUnknown.String()+" "+FlagWanted.String()+" "+FlagUnwanted.String())
	require.Equal(t, "none owed sent dead",
		FeedbackNone.String()+" "+FeedbackOwed.String()+" "+FeedbackSent.String()+" "+FeedbackDead.String())
}

func TestFeedbackReasonsAreAClosedSet(t *testing.T) {
	reasons := FeedbackReasons()
	require.Len(t, reasons, 12)
	reasons[0] = "changed"
	require.Equal(t, ReasonAccepted, FeedbackReasons()[0], "each call returns a new slice")
}

func TestPageSize(t *testing.T) {
	require.Equal(t, DefaultLimit, Paging{}.Size())
	require.Equal(t, DefaultLimit, Paging{Limit: -1}.Size())
	require.Equal(t, 7, Paging{Limit: 7}.Size())
	require.Equal(t, MaxLimit, Paging{Limit: MaxLimit + 1}.Size())
}

func TestTimeTooFarAfterTheArrivalIsReplaced(t *testing.T) {
	came := func(s dlr.Status, when, operator, received time.Time) RecipientReport {
		return RecipientReport{State: dlr.State{Status: s, At: when, OperatorAt: operator}, ReceivedAt: received}
	}
	no, hour := time.Time{}, 3600
	delivered := came(dlr.Delivered, at(9), no, at(10))
	for name, test := range map[string]struct {
		reports []RecipientReport
		want    []Effect
	}{
		"Sinch's time": {
			[]RecipientReport{came(dlr.Failed, at(6*hour), no, at(0)), delivered}, []Effect{Superseded, Holds},
		},
		"operator's time": {
			[]RecipientReport{came(dlr.Failed, at(0), at(6*hour), at(0)), delivered}, []Effect{Superseded, Holds},
		},
		"both ahead": {
			[]RecipientReport{came(dlr.Failed, at(9*hour), at(9*hour), at(0)), delivered}, []Effect{Superseded, Holds},
		},
		"two reports ahead": {
			[]RecipientReport{came(dlr.Failed, at(9*hour), no, at(0)), came(dlr.Expired, at(6*hour), no, at(1))},
			[]Effect{Superseded, Holds},
		},
		"the later report ahead": {
			[]RecipientReport{delivered, came(dlr.Failed, at(6*hour), no, at(20))}, []Effect{Superseded, Holds},
		},
		"the year 9999": {
			[]RecipientReport{came(dlr.Failed, time.UnixMilli(253402300799999).UTC(), no, at(0)), delivered},
			[]Effect{Superseded, Holds},
		},
		"within tolerance": {[]RecipientReport{came(dlr.Failed, at(300), no, at(0)), delivered}, []Effect{Holds, Older}},
		"intermediate": {
			[]RecipientReport{came(dlr.Failed, at(0), no, at(0)), came(dlr.Dispatched, at(6*hour), no, at(10))},
			[]Effect{Holds, Intermediate},
		},
		"at one time": {
			[]RecipientReport{came(dlr.Delivered, at(6*hour), no, at(0)), came(dlr.Failed, at(7*hour), no, at(0))},
			[]Effect{Holds, Outranked},
		},
	} {
		r := Recipient{Reports: test.reports}
		require.Equal(t, test.want, r.Effects(), name)
		held, _ := r.State()
		for i, e := range test.want {
			if e == Holds {
				require.Equal(t, test.reports[i].Counted(), held, name)
			}
		}
	}
}
