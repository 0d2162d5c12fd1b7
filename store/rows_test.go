package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
)

func seen(s dlr.Status, code int, when time.Time) Seen {
	return Seen{State: dlr.State{Status: s, Code: code, At: when}}
}

func TestEffects(t *testing.T) {
	for name, test := range map[string]struct {
		seen []Seen
		want []Effect
	}{
		"none": {nil, []Effect{}},
		"one":  {[]Seen{seen(dlr.Delivered, 0, at(0))}, []Effect{Holds}},
		"in order": {
			[]Seen{seen(dlr.Queued, 400, at(0)), seen(dlr.Dispatched, 401, at(1)), seen(dlr.Delivered, 0, at(2))},
			[]Effect{Superseded, Superseded, Holds},
		},
		"late intermediate": {
			[]Seen{seen(dlr.Delivered, 0, at(0)), seen(dlr.Dispatched, 401, at(9))},
			[]Effect{Holds, Intermediate},
		},
		"older": {[]Seen{seen(dlr.Failed, 34, at(9)), seen(dlr.Expired, 406, at(0))}, []Effect{Holds, Older}},
		"older intermediate": {
			[]Seen{seen(dlr.Dispatched, 401, at(9)), seen(dlr.Queued, 400, at(0))},
			[]Effect{Holds, Older},
		},
		"without a time": {
			[]Seen{seen(dlr.Failed, 34, at(9)), seen(dlr.Delivered, 0, time.Time{})},
			[]Effect{Holds, Older},
		},
		"outranked": {
			[]Seen{seen(dlr.Delivered, 0, at(0)), seen(dlr.Failed, 34, at(0))},
			[]Effect{Holds, Outranked},
		},
		"outranks": {
			[]Seen{seen(dlr.Failed, 34, at(0)), seen(dlr.Delivered, 0, at(0))},
			[]Effect{Superseded, Holds},
		},
		"undocumented, late": {
			[]Seen{seen(dlr.Failed, 34, at(0)), seen("Teleported", 7, at(9))},
			[]Effect{Holds, Intermediate},
		},
		"superseded then lost": {
			[]Seen{seen(dlr.Failed, 34, at(1)), seen(dlr.Expired, 406, at(2)), seen(dlr.Failed, 35, at(0))},
			[]Effect{Superseded, Holds, Older},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := Recipient{Seen: test.seen}
			require.Equal(t, test.want, r.Effects())
		})
	}
}

func TestEffectsAgreeWithState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Recipient{Seen: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Seen {
			return Seen{State: drawState(t)}
		}), 1, 12).Draw(t, "seen")}
		state, named := r.State()
		require.True(t, named)
		holds := 0
		for i, e := range r.Effects() {
			require.Contains(t, []Effect{Holds, Superseded, Intermediate, Older, Outranked}, e)
			if e == Holds {
				holds++
				require.Zero(t, r.Seen[i].Compare(state))
			} else {
				require.LessOrEqual(t, r.Seen[i].Compare(state), 0)
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

func TestTouches(t *testing.T) {
	for name, test := range map[string]struct {
		news News
		want []string
	}{
		"recipient report": {says("+"+alice, dlr.Delivered, 0, at(0)), []string{alice}},
		"full report": {
			whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1, "+"+bob)),
			[]string{alice, bob},
		},
		"summary":            {whole(2, entry(dlr.Delivered, 0, 2)), nil},
		"confirmation":       {Confirmation{BatchID: "batch", Recipients: []string{"+" + alice, bob}}, []string{alice, bob}},
		"settlement":         {settles(Accepted, "+"+alice), []string{alice}},
		"requeue":            {Requeue{BatchID: "batch", Recipients: []string{bob}}, []string{bob}},
		"facts":              {facts(true, at(0)), nil},
		"facts with numbers": {Facts{BatchID: "batch", Numbers: []string{"+" + alice, bob}}, []string{alice, bob}},
		"checked":            {Checked{BatchID: "batch"}, nil},
		"quarantined":        {Quarantined{Raw: []byte("{")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var touched []string
			Touches(arrives(0, test.news), func(digits string) { touched = append(touched, digits) })
			require.Equal(t, test.want, touched)
		})
	}
}

func TestBatchOfNews(t *testing.T) {
	for _, n := range []News{
		says(alice, dlr.Delivered, 0, at(0)), facts(true, at(0)),
		Confirmation{BatchID: "batch"},
		settles(Retry),
		Requeue{BatchID: "batch"},
		Checked{BatchID: "batch"},
	} {
		require.Equal(t, "batch", n.Batch(), "%T", n)
	}
	require.Empty(t, Quarantined{}.Batch())
	require.Equal(t, BatchKey{"plan", "batch"}, newLedger(t, Policy{}).batch.Key())
}

func TestSentAt(t *testing.T) {
	require.Equal(t, at(0), Facts{CreatedAt: at(0)}.SentAt())
	require.Equal(t, at(5), Facts{CreatedAt: at(0), SendAt: at(5)}.SentAt())
	require.Equal(t, at(0), Facts{CreatedAt: at(0), SendAt: at(-5)}.SentAt(), "a past send_at means at once")
	require.Zero(t, Facts{}.SentAt())
}

func TestStrings(t *testing.T) {
	require.Equal(t, "callback polled gateway registered",
		FromCallback.String()+" "+FromPoll.String()+" "+FromGateway.String()+" "+FromRegistration.String())
	require.Equal(t, "progress accepted retry buried given_back split",
		fmt.Sprint(Progress, Accepted, Retry, Buried, GivenBack, Split))
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
	came := func(s dlr.Status, when, operator, received time.Time) Seen {
		return Seen{State: dlr.State{Status: s, At: when, OperatorAt: operator}, ReceivedAt: received}
	}
	no, hour := time.Time{}, 3600
	delivered := came(dlr.Delivered, at(9), no, at(10))
	for name, test := range map[string]struct {
		seen []Seen
		want []Effect
	}{
		"Sinch's time":    {[]Seen{came(dlr.Failed, at(6*hour), no, at(0)), delivered}, []Effect{Superseded, Holds}},
		"operator's time": {[]Seen{came(dlr.Failed, at(0), at(6*hour), at(0)), delivered}, []Effect{Superseded, Holds}},
		"both ahead":      {[]Seen{came(dlr.Failed, at(9*hour), at(9*hour), at(0)), delivered}, []Effect{Superseded, Holds}},
		"two reports ahead": {
			[]Seen{came(dlr.Failed, at(9*hour), no, at(0)), came(dlr.Expired, at(6*hour), no, at(1))},
			[]Effect{Superseded, Holds},
		},
		"the later report ahead": {[]Seen{delivered, came(dlr.Failed, at(6*hour), no, at(20))}, []Effect{Superseded, Holds}},
		"the year 9999": {
			[]Seen{came(dlr.Failed, time.UnixMilli(253402300799999).UTC(), no, at(0)), delivered},
			[]Effect{Superseded, Holds},
		},
		"within tolerance": {[]Seen{came(dlr.Failed, at(300), no, at(0)), delivered}, []Effect{Holds, Older}},
		"intermediate": {
			[]Seen{came(dlr.Failed, at(0), no, at(0)), came(dlr.Dispatched, at(6*hour), no, at(10))},
			[]Effect{Holds, Intermediate},
		},
		"at one time": {
			[]Seen{came(dlr.Delivered, at(6*hour), no, at(0)), came(dlr.Failed, at(7*hour), no, at(0))},
			[]Effect{Holds, Outranked},
		},
	} {
		r := Recipient{Seen: test.seen}
		require.Equal(t, test.want, r.Effects(), name)
		held, _ := r.State()
		for i, e := range test.want {
			if e == Holds {
				require.Equal(t, test.seen[i].Counted(), held, name)
			}
		}
	}
}

func TestModifiedAtTooFarAheadDoesNotBlockLaterFacts(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, Facts{BatchID: "batch", ModifiedAt: at(6 * 3600), Recipients: 1}))
	l.fold(arrives(10, Facts{BatchID: "batch", ModifiedAt: at(9), Recipients: 2, FeedbackEnabled: true}))
	require.Equal(t, 2, l.batch.Facts.Recipients)
	require.Equal(t, FlagWanted, l.batch.Flag)
	l.fold(arrives(20, Facts{BatchID: "batch", ModifiedAt: at(8), Recipients: 3}))
	require.Equal(t, 2, l.batch.Facts.Recipients, "older batch info changes nothing")
}
