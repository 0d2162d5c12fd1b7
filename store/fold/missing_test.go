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
var fetching = store.Policy{On: store.OnOff, Missing: store.Missing{Silence: time.Minute, Grace: 30 * time.Second}}

// sends returns the info of a batch sent to n numbers at second 0.
func sends(n int) store.Facts {
	return store.Facts{
		BatchID: "batch", ReportKind: "per_recipient", Recipients: n,
		CreatedAt: at(0), ModifiedAt: at(0), ExpireAt: at(10_000),
	}
}

// lacking returns a ledger with a batch sent to two numbers at second 0, without any report.
func lacking(t *testing.T, p store.Policy) *ledger {
	t.Helper()
	l := newLedger(t, p)
	l.fold(arrives(0, sends(2)))
	require.Equal(t, &store.Check{Due: at(60)}, l.batch.Check)
	return l
}

// checks records a fetch at that second that brought nothing new.
func (l *ledger) checks(second int) { l.fold(arrives(second, store.Checked{BatchID: "batch"})) }

func TestWhichBatchesHaveMissingReports(t *testing.T) {
	sent := func(change func(*store.Facts)) store.Facts {
		f := sends(2)
		change(&f)
		return f
	}
	kind := func(k string) store.Facts { return sent(func(f *store.Facts) { f.ReportKind = k }) }
	delivered, expired := says(alice, dlr.Delivered, 0, at(0)), says(bob, dlr.Expired, 406, at(0))
	for name, test := range map[string]struct {
		news    []store.News
		missing bool
		lacking int
	}{
		"batch info unknown":       {[]store.News{delivered}, false, 0},
		"only the total known":     {[]store.News{whole(3, entry(dlr.Delivered, 0, 1))}, false, 2},
		"kind not known":           {[]store.News{kind("")}, false, 2},
		"none":                     {[]store.News{kind("none")}, false, 2},
		"summary":                  {[]store.News{kind("summary")}, true, 2},
		"full":                     {[]store.News{kind("full")}, true, 2},
		"per_recipient":            {[]store.News{kind("per_recipient")}, true, 2},
		"per_recipient_final":      {[]store.News{kind("per_recipient_final")}, true, 2},
		"undocumented kind":        {[]store.News{kind("per_region")}, true, 2},
		"not known to Sinch":       {[]store.News{store.Facts{BatchID: "batch", Missing: true}}, false, 0},
		"no longer known to Sinch": {[]store.News{sends(2), store.Facts{BatchID: "batch", Missing: true}}, false, 0},
		"known again": {
			[]store.News{sends(2), store.Facts{BatchID: "batch", Missing: true}, sends(2)}, true, 2,
		},
		"canceled":                     {[]store.News{sent(func(f *store.Facts) { f.Canceled = true })}, true, 2},
		"one of two":                   {[]store.News{sends(2), delivered}, true, 1},
		"one of two, before the facts": {[]store.News{delivered, sends(2)}, true, 1},
		"both":                         {[]store.News{sends(2), delivered, expired}, false, 0},
		"both, before the facts":       {[]store.News{delivered, expired, sends(2)}, false, 0},
		"intermediate":                 {[]store.News{sends(1), says(alice, dlr.Dispatched, 401, at(0))}, true, 1},
		"not documented":               {[]store.News{sends(1), says(alice, "Teleported", 7, at(0))}, true, 1},
		"late intermediate": {
			[]store.News{sends(1), delivered, says(alice, dlr.Dispatched, 401, at(9))}, false, 0,
		},
		"one twice": {[]store.News{sends(2), delivered, says("+"+alice, dlr.Failed, 34, at(9))}, true, 1},
		"summary of all": {
			[]store.News{sends(2), whole(2, entry(dlr.Delivered, 0, 1), entry(dlr.Failed, 34, 1))},
			false, 0,
		},
		"summary of a part": {
			[]store.News{sends(2), whole(2, entry(dlr.Delivered, 0, 1), entry(dlr.Queued, 400, 1))},
			true, 1,
		},
		"total over to": {
			[]store.News{sends(2), whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Queued, 400, 1))},
			true, 1,
		},
		"total over to, all final": {[]store.News{sends(2), whole(3, entry(dlr.Delivered, 0, 3))}, false, 0},
		"total under to":           {[]store.News{sends(2), whole(1, entry(dlr.Delivered, 0, 1))}, true, 1},
		"empty report":             {[]store.News{sends(2), whole(0)}, true, 2},
		"group":                    {[]store.News{sent(func(f *store.Facts) { f.Recipients, f.Groups = 1, 1 })}, true, 0},
		"group and numbers": {
			[]store.News{sent(func(f *store.Facts) { f.Recipients, f.Groups = 3, 1 }), delivered, expired},
			true, 0,
		},
		"group, total known": {
			[]store.News{sent(func(f *store.Facts) { f.Recipients, f.Groups = 1, 1 }), whole(4, entry(dlr.Failed, 34, 3))},
			true, 1,
		},
		"group, all final": {
			[]store.News{sent(func(f *store.Facts) { f.Recipients, f.Groups = 1, 1 }), whole(4, entry(dlr.Failed, 34, 4))},
			false, 0,
		},
		"recipients not known":        {[]store.News{sends(0)}, true, 0},
		"recipients known in the end": {[]store.News{sends(0), whole(1, entry(dlr.Failed, 34, 1))}, false, 0},
		"named without a report": {
			[]store.News{sent(func(f *store.Facts) { f.Numbers = []string{alice, bob} }), delivered},
			true, 1,
		},
		"confirmed": {
			[]store.News{sends(2), store.Confirmation{BatchID: "batch", Recipients: []string{alice, bob}}},
			true, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, fetching)
			for i, n := range test.news {
				l.fold(arrives(i, n))
			}
			require.Equal(t, test.missing, l.batch.Check != nil)
			require.Equal(t, test.lacking, l.batch.Lacking())

			l = newLedger(t, store.Policy{})
			for i, n := range test.news {
				l.fold(arrives(i, n))
			}
			require.Nil(t, l.batch.Check, "nothing is fetched without a Silence")
		})
	}
}

func TestCheckIsClearedWhenThePlanDisablesFetching(t *testing.T) {
	l := lacking(t, fetching)
	l.policy.Missing.Silence = 0
	l.fold(arrives(1, sends(2)))
	require.Nil(t, l.batch.Check)
}

func TestWhenABatchIsFirstChecked(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*store.Facts)
		known  int // the second at which the batch info arrives
		due    int
	}{
		"just sent":                  {func(*store.Facts) {}, 0, 60},
		"known later":                {func(*store.Facts) {}, 500, 560},
		"waits for its send_at":      {func(f *store.Facts) { f.SendAt = at(5000) }, 0, 5060},
		"a past send_at":             {func(f *store.Facts) { f.SendAt = at(-5000) }, 0, 60},
		"expires before the silence": {func(f *store.Facts) { f.ExpireAt = at(20) }, 0, 50},
		"expires with the silence":   {func(f *store.Facts) { f.ExpireAt = at(30) }, 0, 60},
		"waits, and expires soon":    {func(f *store.Facts) { f.SendAt, f.ExpireAt = at(5000), at(5010) }, 0, 5040},
		"expires before its send_at": {func(f *store.Facts) { f.SendAt, f.ExpireAt = at(5000), at(10) }, 0, 5060},
		"known after its end":        {func(f *store.Facts) { f.ExpireAt = at(20) }, 100, 160},
		"known at its end":           {func(f *store.Facts) { f.ExpireAt = at(20) }, 50, 110},
		"no times":                   {func(f *store.Facts) { f.CreatedAt, f.ExpireAt = time.Time{}, time.Time{} }, 0, 60},
	} {
		t.Run(name, func(t *testing.T) {
			f := sends(2)
			test.change(&f)
			l := newLedger(t, fetching)
			l.fold(arrives(test.known, f))
			require.Equal(t, &store.Check{Due: at(test.due)}, l.batch.Check)
		})
	}
}

func TestSilenceDoublesUpTo32Times(t *testing.T) {
	l := lacking(t, fetching)
	second := 60
	for i, silence := range []int{120, 240, 480, 960, 1920, 1920, 1920} {
		l.checks(second)
		second += silence
		require.Equal(t, &store.Check{Due: at(second), Asked: i + 1}, l.batch.Check)
	}
	l.checks(second)
	require.Equal(t, &store.Check{Due: at(second + 1920), Asked: 8}, l.batch.Check)
	second += 1920
	l.checks(second)
	require.Equal(t, &store.Check{Due: at(10_030), Asked: 9}, l.batch.Check, "no later than the end of the grace")
	l.checks(10_030)
	require.Equal(t, &store.Check{Asked: 10}, l.batch.Check, "no report is expected after the end")
}

func TestLastCheckOfABatch(t *testing.T) {
	threeDays := int(longestValidity / time.Second)
	for name, test := range map[string]struct {
		change func(*store.Facts)
		end    int
	}{
		"expire_at":             {func(*store.Facts) {}, 10_030},
		"72 h after created_at": {func(f *store.Facts) { f.ExpireAt = time.Time{} }, threeDays + 30},
		"72 h, not expire_at":   {func(f *store.Facts) { f.ExpireAt = at(10 * threeDays) }, threeDays + 30},
		"72 h after send_at":    {func(f *store.Facts) { f.ExpireAt, f.SendAt = time.Time{}, at(50) }, threeDays + 50 + 30},
		"72 h after its first arrival": {func(f *store.Facts) {
			f.ExpireAt, f.CreatedAt = time.Time{}, time.Time{}
		}, threeDays + 5 + 30},
	} {
		t.Run(name, func(t *testing.T) {
			f := sends(2)
			test.change(&f)
			l := newLedger(t, fetching)
			l.fold(arrives(5, f))
			asked := 0
			for ; !l.batch.Check.Due.IsZero(); asked++ {
				l.fold(store.Arrival{Plan: "plan", At: l.batch.Check.Due, News: store.Checked{BatchID: "batch"}})
			}
			require.Equal(t, at(test.end), l.batch.LastAt, "the last check")
			require.Equal(t, &store.Check{Asked: asked}, l.batch.Check)
		})
	}
}

func TestCallbackRestartsTheCheck(t *testing.T) {
	dispatched := says(alice, dlr.Dispatched, 401, at(1))
	l := lacking(t, fetching)
	l.checks(60)
	require.Equal(t, &store.Check{Due: at(180), Asked: 1}, l.batch.Check)
	l.fold(arrives(100, dispatched))
	require.Equal(t, &store.Check{Due: at(160)}, l.batch.Check, "the silence starts again")
	l.fold(arrives(130, dispatched))
	require.Equal(t, &store.Check{Due: at(190)}, l.batch.Check, "also after a duplicate")
	l.fold(arrives(9_990, says(alice, dlr.Delivered, 0, at(2))))
	require.Equal(t, &store.Check{Due: at(10_030)}, l.batch.Check)
	l.fold(arrives(10_100, says(bob, dlr.Dispatched, 401, at(2))))
	require.Equal(t, &store.Check{Due: at(10_160)}, l.batch.Check, "more reports may follow a late one")
	l.fold(arrives(10_200, says(bob, dlr.Expired, 406, at(3))))
	require.Nil(t, l.batch.Check, "all messages are final")
	l.checks(10_201)
	require.Nil(t, l.batch.Check, "a late Checked changes nothing")
	l.fold(arrives(10_300, whole(3, entry(dlr.Expired, 406, 1))))
	require.Equal(t, &store.Check{Due: at(10_360)}, l.batch.Check,
		"the total is larger than the known number of recipients")
}

func TestFetchedReportDoesNotRestartTheCheck(t *testing.T) {
	l := lacking(t, fetching)
	l.checks(60)
	l.fold(arrives(100, polled(says(alice, dlr.Delivered, 0, at(1)))))
	require.Equal(t, &store.Check{Due: at(180), Asked: 1}, l.batch.Check, "a fetched report is not a callback")
	l.fold(arrives(180, polled(whole(2, entry(dlr.Delivered, 0, 2, alice, bob)))))
	require.Nil(t, l.batch.Check)

	l = newLedger(t, fetching)
	fetched := polled(says(alice, dlr.Delivered, 0, at(1)))
	l.fold(arrives(0, fetched), arrives(5, sends(2)), arrives(7, fetched))
	require.Equal(t, &store.Check{Due: at(65)}, l.batch.Check)
}

func TestFactsOnlyBringTheCheckForward(t *testing.T) {
	l := lacking(t, fetching)
	l.fold(arrives(30, sends(2)))
	require.Equal(t, &store.Check{Due: at(60)}, l.batch.Check, "the same batch info does not postpone the check")
	l.checks(60)
	l.fold(arrives(179, sends(2)), arrives(500, sends(2)))
	require.Equal(t, &store.Check{Due: at(180), Asked: 1}, l.batch.Check)

	sooner := sends(2)
	sooner.ExpireAt, sooner.ModifiedAt = at(100), at(1)
	l = lacking(t, fetching)
	l.checks(60)
	l.fold(arrives(70, sooner))
	require.Equal(t, &store.Check{Due: at(130), Asked: 1}, l.batch.Check, "the batch expires earlier")

	waits := sends(2)
	waits.SendAt = at(5000)
	l = newLedger(t, fetching)
	l.fold(arrives(0, waits))
	sooner = sends(2)
	sooner.ModifiedAt = at(1)
	l.fold(arrives(10, sooner))
	require.Equal(t, &store.Check{Due: at(70)}, l.batch.Check, "the batch is sent earlier")
}

func TestOtherArrivalsLeaveTheCheckUnchanged(t *testing.T) {
	l := lacking(t, fetching)
	for i, n := range []store.News{
		store.Confirmation{BatchID: "batch", Recipients: []string{alice}},
		settles(store.Accepted, alice), settles(store.Retry),
		store.Requeue{BatchID: "batch"},
	} {
		l.fold(arrives(10+i, n))
		require.Equal(t, &store.Check{Due: at(60)}, l.batch.Check, "%T", n)
	}
}

func TestCheckNow(t *testing.T) {
	now := store.CheckNow{Facts: sends(2)}
	t.Run("sets the check", func(t *testing.T) {
		l := newLedger(t, fetching)
		l.fold(arrives(5, now))
		require.Equal(t, &store.Check{Due: at(5)}, l.batch.Check)
	})
	t.Run("overrides earlier checks", func(t *testing.T) {
		l := lacking(t, fetching)
		l.checks(60)
		l.fold(arrives(70, now))
		require.Equal(t, &store.Check{Due: at(70)}, l.batch.Check)
	})
	t.Run("works after the end", func(t *testing.T) {
		l := lacking(t, fetching)
		l.checks(10_030)
		require.Zero(t, l.batch.Check.Due)
		l.fold(arrives(20_000, now))
		require.Equal(t, &store.Check{Due: at(20_000)}, l.batch.Check)
		l.checks(20_001)
		require.Equal(t, &store.Check{Asked: 1}, l.batch.Check, "one more check")
	})
	t.Run("works with older batch info", func(t *testing.T) {
		newer := sends(2)
		newer.ModifiedAt = at(3)
		l := newLedger(t, fetching)
		l.fold(arrives(4, newer), arrives(5, now))
		require.Equal(t, &store.Check{Due: at(5)}, l.batch.Check)
	})
	t.Run("waits for send_at", func(t *testing.T) {
		waits := now
		waits.SendAt = at(100)
		l := newLedger(t, fetching)
		l.fold(arrives(5, waits))
		require.Equal(t, &store.Check{Due: at(160)}, l.batch.Check)
		l.fold(arrives(100, waits))
		require.Equal(t, &store.Check{Due: at(100)}, l.batch.Check)
	})
	t.Run("does nothing without missing reports", func(t *testing.T) {
		one := now
		one.Recipients = 1
		l := newLedger(t, fetching)
		l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(5, one))
		require.Nil(t, l.batch.Check)
	})
	t.Run("does nothing if Sinch does not know the batch", func(t *testing.T) {
		l := lacking(t, fetching)
		l.fold(arrives(5, store.CheckNow{Facts: store.Facts{BatchID: "batch", Missing: true}}))
		require.Nil(t, l.batch.Check)
	})
}
