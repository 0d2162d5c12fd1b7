package fold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// fetching is a policy that fetches missing reports after a silence of one minute, with a grace of 30 seconds. In
// these tests a batch is valid until second 10 000.
var fetching = store.Policy{
	On:             store.OnOff,
	MissingReports: store.MissingReports{Silence: time.Minute, Grace: 30 * time.Second},
}

// sends returns the info of a batch sent to n numbers at second 0.
func sends(n int) store.BatchInfo {
	return store.BatchInfo{
		BatchID: "batch", ReportKind: "per_recipient", Recipients: n,
		CreatedAt: at(0), ModifiedAt: at(0), ExpireAt: at(10_000),
	}
}

// missingReports returns a ledger with a batch sent to two numbers at second 0, without any report.
func missingReports(t *testing.T, p store.Policy) *ledger {
	t.Helper()
	l := newLedger(t, p)
	l.fold(arrives(0, sends(2)))
	require.Equal(t, &store.ReportFetch{Due: at(60)}, l.batch.Fetch)
	return l
}

// fetches records a fetch at that second that brought nothing new.
func (l *ledger) fetches(second int) { l.fold(arrives(second, store.ReportFetched{BatchID: "batch"})) }

func TestWhichBatchesHaveMissingReports(t *testing.T) {
	sent := func(change func(*store.BatchInfo)) store.BatchInfo {
		f := sends(2)
		change(&f)
		return f
	}
	kind := func(k string) store.BatchInfo { return sent(func(f *store.BatchInfo) { f.ReportKind = k }) }
	delivered, expired := says(alice, dlr.Delivered, 0, at(0)), says(bob, dlr.Expired, 406, at(0))
	for name, test := range map[string]struct {
		entries []store.Entry
		fetched bool
		missing int
	}{
		"batch info unknown":       {[]store.Entry{delivered}, false, 0},
		"only the total known":     {[]store.Entry{whole(3, entry(dlr.Delivered, 0, 1))}, false, 2},
		"kind not known":           {[]store.Entry{kind("")}, false, 2},
		"none":                     {[]store.Entry{kind("none")}, false, 2},
		"summary":                  {[]store.Entry{kind("summary")}, true, 2},
		"full":                     {[]store.Entry{kind("full")}, true, 2},
		"per_recipient":            {[]store.Entry{kind("per_recipient")}, true, 2},
		"per_recipient_final":      {[]store.Entry{kind("per_recipient_final")}, true, 2},
		"undocumented kind":        {[]store.Entry{kind("per_region")}, true, 2},
		"not known to Sinch":       {[]store.Entry{store.BatchInfo{BatchID: "batch", Unknown: true}}, false, 0},
		"no longer known to Sinch": {[]store.Entry{sends(2), store.BatchInfo{BatchID: "batch", Unknown: true}}, false, 0},
		"known again": {
			[]store.Entry{sends(2), store.BatchInfo{BatchID: "batch", Unknown: true}, sends(2)}, true, 2,
		},
		"canceled":                          {[]store.Entry{sent(func(f *store.BatchInfo) { f.Canceled = true })}, true, 2},
		"one of two":                        {[]store.Entry{sends(2), delivered}, true, 1},
		"one of two, before the batch info": {[]store.Entry{delivered, sends(2)}, true, 1},
		"both":                              {[]store.Entry{sends(2), delivered, expired}, false, 0},
		"both, before the batch info":       {[]store.Entry{delivered, expired, sends(2)}, false, 0},
		"intermediate":                      {[]store.Entry{sends(1), says(alice, dlr.Dispatched, 401, at(0))}, true, 1},
		"not documented":                    {[]store.Entry{sends(1), says(alice, "Teleported", 7, at(0))}, true, 1},
		"late intermediate": {
			[]store.Entry{sends(1), delivered, says(alice, dlr.Dispatched, 401, at(9))}, false, 0,
		},
		"one twice": {[]store.Entry{sends(2), delivered, says("+"+alice, dlr.Failed, 34, at(9))}, true, 1},
		"summary of all": {
			[]store.Entry{sends(2), whole(2, entry(dlr.Delivered, 0, 1), entry(dlr.Failed, 34, 1))},
			false, 0,
		},
		"summary of a part": {
			[]store.Entry{sends(2), whole(2, entry(dlr.Delivered, 0, 1), entry(dlr.Queued, 400, 1))},
			true, 1,
		},
		"total over to": {
			[]store.Entry{sends(2), whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Queued, 400, 1))},
			true, 1,
		},
		"total over to, all final": {[]store.Entry{sends(2), whole(3, entry(dlr.Delivered, 0, 3))}, false, 0},
		"total under to":           {[]store.Entry{sends(2), whole(1, entry(dlr.Delivered, 0, 1))}, true, 1},
		"empty report":             {[]store.Entry{sends(2), whole(0)}, true, 2},
		"group": {
			[]store.Entry{sent(func(f *store.BatchInfo) { f.Recipients, f.Groups = 1, 1 })}, true, 0,
		},
		"group and numbers": {
			[]store.Entry{sent(func(f *store.BatchInfo) { f.Recipients, f.Groups = 3, 1 }), delivered, expired},
			true, 0,
		},
		"group, total known": {
			[]store.Entry{sent(func(f *store.BatchInfo) { f.Recipients, f.Groups = 1, 1 }), whole(4, entry(dlr.Failed, 34, 3))},
			true, 1,
		},
		"group, all final": {
			[]store.Entry{sent(func(f *store.BatchInfo) { f.Recipients, f.Groups = 1, 1 }), whole(4, entry(dlr.Failed, 34, 4))},
			false, 0,
		},
		"recipients not known":        {[]store.Entry{sends(0)}, true, 0},
		"recipients known in the end": {[]store.Entry{sends(0), whole(1, entry(dlr.Failed, 34, 1))}, false, 0},
		"named without a report": {
			[]store.Entry{sent(func(f *store.BatchInfo) { f.Numbers = []string{alice, bob} }), delivered},
			true, 1,
		},
		"confirmed": {
			[]store.Entry{sends(2), store.Confirmation{BatchID: "batch", Recipients: []string{alice, bob}}},
			true, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, fetching)
			for i, n := range test.entries {
				l.fold(arrives(i, n))
			}
			require.Equal(t, test.fetched, l.batch.Fetch != nil)
			require.Equal(t, test.missing, l.batch.Missing())

			l = newLedger(t, store.Policy{})
			for i, n := range test.entries {
				l.fold(arrives(i, n))
			}
			require.Nil(t, l.batch.Fetch, "nothing is fetched without a Silence")
		})
	}
}

func TestCheckIsClearedWhenThePlanDisablesFetching(t *testing.T) {
	l := missingReports(t, fetching)
	l.policy.MissingReports.Silence = 0
	l.fold(arrives(1, sends(2)))
	require.Nil(t, l.batch.Fetch)
}

func TestWhenABatchIsFirstFetched(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*store.BatchInfo)
		known  int // the second at which the batch info arrives
		due    int
	}{
		"just sent":                  {func(*store.BatchInfo) {}, 0, 60},
		"known later":                {func(*store.BatchInfo) {}, 500, 560},
		"waits for its send_at":      {func(f *store.BatchInfo) { f.SendAt = at(5000) }, 0, 5060},
		"a past send_at":             {func(f *store.BatchInfo) { f.SendAt = at(-5000) }, 0, 60},
		"expires before the silence": {func(f *store.BatchInfo) { f.ExpireAt = at(20) }, 0, 50},
		"expires with the silence":   {func(f *store.BatchInfo) { f.ExpireAt = at(30) }, 0, 60},
		"waits, and expires soon":    {func(f *store.BatchInfo) { f.SendAt, f.ExpireAt = at(5000), at(5010) }, 0, 5040},
		"expires before its send_at": {func(f *store.BatchInfo) { f.SendAt, f.ExpireAt = at(5000), at(10) }, 0, 5060},
		"known after its end":        {func(f *store.BatchInfo) { f.ExpireAt = at(20) }, 100, 160},
		"known at its end":           {func(f *store.BatchInfo) { f.ExpireAt = at(20) }, 50, 110},
		"no times": {
			func(f *store.BatchInfo) { f.CreatedAt, f.ExpireAt = time.Time{}, time.Time{} }, 0, 60,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := sends(2)
			test.change(&f)
			l := newLedger(t, fetching)
			l.fold(arrives(test.known, f))
			require.Equal(t, &store.ReportFetch{Due: at(test.due)}, l.batch.Fetch)
		})
	}
}

func TestSilenceDoublesUpTo32Times(t *testing.T) {
	l := missingReports(t, fetching)
	second := 60
	for i, silence := range []int{120, 240, 480, 960, 1920, 1920, 1920} {
		l.fetches(second)
		second += silence
		require.Equal(t, &store.ReportFetch{Due: at(second), Attempts: i + 1}, l.batch.Fetch)
	}
	l.fetches(second)
	require.Equal(t, &store.ReportFetch{Due: at(second + 1920), Attempts: 8}, l.batch.Fetch)
	second += 1920
	l.fetches(second)
	require.Equal(t, &store.ReportFetch{Due: at(10_030), Attempts: 9}, l.batch.Fetch, "no later than the end of the grace")
	l.fetches(10_030)
	require.Equal(t, &store.ReportFetch{Attempts: 10}, l.batch.Fetch, "no report is expected after the end")
}

func TestLastCheckOfABatch(t *testing.T) {
	threeDays := int(longestValidity / time.Second)
	for name, test := range map[string]struct {
		change func(*store.BatchInfo)
		end    int
	}{
		"expire_at":             {func(*store.BatchInfo) {}, 10_030},
		"72 h after created_at": {func(f *store.BatchInfo) { f.ExpireAt = time.Time{} }, threeDays + 30},
		"72 h, not expire_at":   {func(f *store.BatchInfo) { f.ExpireAt = at(10 * threeDays) }, threeDays + 30},
		"72 h after send_at": {
			func(f *store.BatchInfo) { f.ExpireAt, f.SendAt = time.Time{}, at(50) }, threeDays + 50 + 30,
		},
		"72 h after its first arrival": {func(f *store.BatchInfo) {
			f.ExpireAt, f.CreatedAt = time.Time{}, time.Time{}
		}, threeDays + 5 + 30},
	} {
		t.Run(name, func(t *testing.T) {
			f := sends(2)
			test.change(&f)
			l := newLedger(t, fetching)
			l.fold(arrives(5, f))
			attempts := 0
			for ; !l.batch.Fetch.Due.IsZero(); attempts++ {
				l.fold(store.Arrival{Plan: "plan", At: l.batch.Fetch.Due, Entry: store.ReportFetched{BatchID: "batch"}})
			}
			require.Equal(t, at(test.end), l.batch.LastAt, "the last check")
			require.Equal(t, &store.ReportFetch{Attempts: attempts}, l.batch.Fetch)
		})
	}
}

func TestCallbackRestartsTheCheck(t *testing.T) {
	dispatched := says(alice, dlr.Dispatched, 401, at(1))
	l := missingReports(t, fetching)
	l.fetches(60)
	require.Equal(t, &store.ReportFetch{Due: at(180), Attempts: 1}, l.batch.Fetch)
	l.fold(arrives(100, dispatched))
	require.Equal(t, &store.ReportFetch{Due: at(160)}, l.batch.Fetch, "the silence starts again")
	l.fold(arrives(130, dispatched))
	require.Equal(t, &store.ReportFetch{Due: at(190)}, l.batch.Fetch, "also after a duplicate")
	l.fold(arrives(9_990, says(alice, dlr.Delivered, 0, at(2))))
	require.Equal(t, &store.ReportFetch{Due: at(10_030)}, l.batch.Fetch)
	l.fold(arrives(10_100, says(bob, dlr.Dispatched, 401, at(2))))
	require.Equal(t, &store.ReportFetch{Due: at(10_160)}, l.batch.Fetch, "more reports may follow a late one")
	l.fold(arrives(10_200, says(bob, dlr.Expired, 406, at(3))))
	require.Nil(t, l.batch.Fetch, "all messages are final")
	l.fetches(10_201)
	require.Nil(t, l.batch.Fetch, "a late ReportFetched changes nothing")
	l.fold(arrives(10_300, whole(3, entry(dlr.Expired, 406, 1))))
	require.Equal(t, &store.ReportFetch{Due: at(10_360)}, l.batch.Fetch,
		"the total is larger than the known number of recipients")
}

func TestFetchedReportDoesNotRestartTheCheck(t *testing.T) {
	l := missingReports(t, fetching)
	l.fetches(60)
	l.fold(arrives(100, polled(says(alice, dlr.Delivered, 0, at(1)))))
	require.Equal(t, &store.ReportFetch{Due: at(180), Attempts: 1}, l.batch.Fetch, "a fetched report is not a callback")
	l.fold(arrives(180, polled(whole(2, entry(dlr.Delivered, 0, 2, alice, bob)))))
	require.Nil(t, l.batch.Fetch)

	l = newLedger(t, fetching)
	fetched := polled(says(alice, dlr.Delivered, 0, at(1)))
	l.fold(arrives(0, fetched), arrives(5, sends(2)), arrives(7, fetched))
	require.Equal(t, &store.ReportFetch{Due: at(65)}, l.batch.Fetch)
}

func TestBatchInfoOnlyBringsTheFetchForward(t *testing.T) {
	l := missingReports(t, fetching)
	l.fold(arrives(30, sends(2)))
	require.Equal(t, &store.ReportFetch{Due: at(60)}, l.batch.Fetch, "the same batch info does not postpone the check")
	l.fetches(60)
	l.fold(arrives(179, sends(2)), arrives(500, sends(2)))
	require.Equal(t, &store.ReportFetch{Due: at(180), Attempts: 1}, l.batch.Fetch)

	sooner := sends(2)
	sooner.ExpireAt, sooner.ModifiedAt = at(100), at(1)
	l = missingReports(t, fetching)
	l.fetches(60)
	l.fold(arrives(70, sooner))
	require.Equal(t, &store.ReportFetch{Due: at(130), Attempts: 1}, l.batch.Fetch, "the batch expires earlier")

	waits := sends(2)
	waits.SendAt = at(5000)
	l = newLedger(t, fetching)
	l.fold(arrives(0, waits))
	sooner = sends(2)
	sooner.ModifiedAt = at(1)
	l.fold(arrives(10, sooner))
	require.Equal(t, &store.ReportFetch{Due: at(70)}, l.batch.Fetch, "the batch is sent earlier")
}

func TestOtherArrivalsLeaveTheCheckUnchanged(t *testing.T) {
	l := missingReports(t, fetching)
	for i, n := range []store.Entry{
		store.Confirmation{BatchID: "batch", Recipients: []string{alice}},
		settles(store.OutcomeAccepted, alice), settles(store.OutcomeRetry),
		store.Requeue{BatchID: "batch"},
	} {
		l.fold(arrives(10+i, n))
		require.Equal(t, &store.ReportFetch{Due: at(60)}, l.batch.Fetch, "%T", n)
	}
}

func TestFetchNow(t *testing.T) {
	now := store.FetchNow{BatchInfo: sends(2)}
	t.Run("sets the check", func(t *testing.T) {
		l := newLedger(t, fetching)
		l.fold(arrives(5, now))
		require.Equal(t, &store.ReportFetch{Due: at(5)}, l.batch.Fetch)
	})
	t.Run("overrides earlier fetches", func(t *testing.T) {
		l := missingReports(t, fetching)
		l.fetches(60)
		l.fold(arrives(70, now))
		require.Equal(t, &store.ReportFetch{Due: at(70)}, l.batch.Fetch)
	})
	t.Run("works after the end", func(t *testing.T) {
		l := missingReports(t, fetching)
		l.fetches(10_030)
		require.Zero(t, l.batch.Fetch.Due)
		l.fold(arrives(20_000, now))
		require.Equal(t, &store.ReportFetch{Due: at(20_000)}, l.batch.Fetch)
		l.fetches(20_001)
		require.Equal(t, &store.ReportFetch{Attempts: 1}, l.batch.Fetch, "one more check")
	})
	t.Run("works with older batch info", func(t *testing.T) {
		newer := sends(2)
		newer.ModifiedAt = at(3)
		l := newLedger(t, fetching)
		l.fold(arrives(4, newer), arrives(5, now))
		require.Equal(t, &store.ReportFetch{Due: at(5)}, l.batch.Fetch)
	})
	t.Run("waits for send_at", func(t *testing.T) {
		waits := now
		waits.SendAt = at(100)
		l := newLedger(t, fetching)
		l.fold(arrives(5, waits))
		require.Equal(t, &store.ReportFetch{Due: at(160)}, l.batch.Fetch)
		l.fold(arrives(100, waits))
		require.Equal(t, &store.ReportFetch{Due: at(100)}, l.batch.Fetch)
	})
	t.Run("does nothing without missing reports", func(t *testing.T) {
		one := now
		one.Recipients = 1
		l := newLedger(t, fetching)
		l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(5, one))
		require.Nil(t, l.batch.Fetch)
	})
	t.Run("does nothing if Sinch does not know the batch", func(t *testing.T) {
		l := missingReports(t, fetching)
		l.fold(arrives(5, store.FetchNow{BatchInfo: store.BatchInfo{BatchID: "batch", Unknown: true}}))
		require.Nil(t, l.batch.Fetch)
	})
}
