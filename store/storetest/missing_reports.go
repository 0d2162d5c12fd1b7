package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var missingReports = []behavior{
	{"batches with missing reports are sorted by due time", missingOrder},
	{"missing reports are not returned before their fetch is due", missingWhenDue},
	{"MissingReports returns the same batch as Batch", missingContent},
	{"each plan has its own missing reports", missingByPlan},
	{"missing reports are returned until they are fetched", missingUntilFetched},
	{"missing reports are not returned after the last fetch", missingNeverAgain},
	{"no reports are missing once all have arrived", missingUntilReported},
	{"FetchNow makes the missing reports of a batch due at once", missingAtOnce},
	{"no reports are missing in a plan without Silence", missingNever},
	{"many batches with missing reports are returned in parts", missingOfMany},
	{"missing reports survive a restart", missingAfterRestart},
	{"a clock that is set back delays no fetch", missingAfterSetback},
	{"messages are missing until they are final, the fetches end, or the batch is deleted", missingUntilTheEnd},
}

// fetching returns a Config in which every plan fetches missing reports once no callback has arrived for a minute.
func fetching() Config {
	return Config{Policies: func(string) store.Policy {
		return store.Policy{
			On:             store.OnOff,
			MissingReports: store.MissingReports{Silence: time.Minute, Grace: 30 * time.Second},
		}
	}}
}

func reportFetched(id string) store.ReportFetched { return store.ReportFetched{BatchID: id} }

func missingOrder(t *testing.T, place Place) {
	o := open(t, place, fetching())
	for i, second := range []int{5, 3, 9, 1, 7} {
		o.record(arrives(second, sends(fmt.Sprint(i), 2, second)))
	}
	require.Empty(t, o.missingReports(plan, sec(100), 0))
	for range 2 {
		require.Equal(t, []string{"3", "1"}, ids(o.missingReports(plan, sec(100), 2)), "MissingReports does not lease")
		require.Equal(t, []string{"3", "1", "0", "4", "2"}, ids(o.missingReports(plan, sec(100), 10)))
		require.Equal(t, []string{"3", "1", "0"}, ids(o.missingReports(plan, sec(66), 10)))
		o.reopen()
	}
	o.record(arrives(64, says("3", alice, dlr.Dispatched, 401, sec(1)))) // restarts the silence
	require.Equal(t, []string{"1", "0", "4", "2", "3"}, ids(o.missingReports(plan, sec(1000), 10)))
}

// missingAfterSetback tests that a fetch stays due after the clock was set back by two days, and that a fetch does not
// become due for a batch whose send_at is in the future.
func missingAfterSetback(t *testing.T, place Place) {
	o := open(t, place, fetching())
	const day = 24 * 3600
	batch, waits := sends("batch", 2, 0), sends("waits", 2, 0)
	waits.SendAt = sec(3 * day)
	o.record(arrives(2*day, batch), arrives(2*day, waits))
	for range 2 {
		require.Equal(t, []string{"batch"}, ids(o.missingReports(plan, sec(0), 10)))
		o.reopen()
	}
	o.record(arrives(0, reportFetched("batch")))
	require.Equal(t, 1, o.batch(key("batch")).Fetch.Attempts, "the fetch counts")
	require.Empty(t, o.missingReports(plan, sec(0), 10))
	require.Empty(t, o.missingReports(plan, sec(120).Add(-time.Millisecond), 10))
	require.Equal(t, []string{"batch"}, ids(o.missingReports(plan, sec(120), 10)))
}

func missingWhenDue(t *testing.T, place Place) {
	o := open(t, place, fetching())
	waits := sends("waits", 2, 0)
	waits.SendAt = sec(500)
	o.record(arrives(0, sends("batch", 2, 0)), arrives(0, waits))
	require.Empty(t, o.missingReports(plan, sec(60).Add(-time.Millisecond), 10))
	require.Equal(t, []string{"batch"}, ids(o.missingReports(plan, sec(60), 10)))
	require.Equal(t, []string{"batch"}, ids(o.missingReports(plan, sec(560).Add(-time.Millisecond), 10)))
	require.Equal(t, []string{"batch", "waits"}, ids(o.missingReports(plan, sec(560), 10)))
}

func missingContent(t *testing.T, place Place) {
	o := open(t, place, fetching())
	f := sends("batch", 3, 0)
	f.Groups, f.Numbers = 1, []string{alice, bob}
	o.record(arrives(0, f), arrives(1, delivered("batch", alice)))
	batches := o.missingReports(plan, sec(61), 10)
	require.Len(t, batches, 1)
	require.Equal(t, o.batch(key("batch")), batches[0])
	require.Equal(t, &store.ReportFetch{Due: sec(61)}, batches[0].Fetch)
	require.Equal(t, 1, batches[0].Missing())
	f.Numbers = nil
	require.Equal(t, &f, batches[0].Info)
}

func missingByPlan(t *testing.T, place Place) {
	o := open(t, place, fetching())
	plans := []string{"p", "pl", plan, "plan2"}
	for i, p := range plans {
		o.record(at(sec(i), p, sends("batch", 2, i)))
	}
	for _, p := range plans {
		require.Len(t, o.missingReports(p, sec(100), 10), 1)
	}
	require.Empty(t, o.missingReports("other", sec(100), 10))
	o.record(at(sec(100), "pl", reportFetched("batch")))
	require.Empty(t, o.missingReports("pl", sec(100), 10))
	for _, p := range []string{"p", plan, "plan2"} {
		require.Len(t, o.missingReports(p, sec(100), 10), 1)
	}
}

func missingUntilFetched(t *testing.T, place Place) {
	o := open(t, place, fetching())
	o.record(arrives(0, sends("batch", 2, 0)))
	due := 60
	for attempts := range 3 {
		require.Empty(t, o.missingReports(plan, sec(due).Add(-time.Millisecond), 10))
		require.Len(t, o.missingReports(plan, sec(due), 10), 1)
		require.Len(t, o.missingReports(plan, sec(due+30), 10), 1)
		// The second ReportFetched repeats the first.
		o.record(arrives(due+30, reportFetched("batch")), arrives(due+30, reportFetched("batch")))
		require.Equal(t, attempts+1, o.batch(key("batch")).Fetch.Attempts)
		o.reopen()
		due += 30 + 60<<(attempts+1)
	}
}

func missingNeverAgain(t *testing.T, place Place) {
	o := open(t, place, fetching())
	refused := reportFetched("refused")
	refused.Refused = "404 not_found"
	canceled := sends("canceled", 2, 0)
	canceled.Canceled = true
	o.record(
		arrives(0, sends("refused", 2, 0)), arrives(0, canceled), arrives(0, sends("expired", 2, 0)),
		arrives(60, refused), arrives(60, reportFetched("canceled")), arrives(3630, reportFetched("expired")),
	)
	for range 2 {
		require.Empty(t, o.missingReports(plan, sec(1e7), 10))
		for _, id := range []string{"refused", "canceled", "expired"} {
			require.Equal(t, &store.ReportFetch{Attempts: 1}, o.batch(key(id)).Fetch, id)
		}
		o.reopen()
	}
	o.record(arrives(5000, delivered("expired", alice)))
	require.Equal(t, []string{"expired"}, ids(o.missingReports(plan, sec(1e7), 10)), "a callback restarts the fetches")
}

func missingUntilReported(t *testing.T, place Place) {
	o := open(t, place, fetching())
	for _, id := range []string{"called", "polled", "known"} {
		o.record(arrives(0, sends(id, 2, 0)))
	}
	require.Len(t, o.missingReports(plan, sec(1000), 10), 3)
	o.record(
		arrives(1, delivered("called", alice)), arrives(2, delivered("called", bob)),
		arrives(61, polled(allDelivered("polled", alice, bob))), arrives(61, reportFetched("polled")),
		arrives(61, store.BatchInfo{BatchID: "known", Unknown: true}),
	)
	for range 2 {
		require.Empty(t, o.missingReports(plan, sec(1e7), 10))
		for _, id := range []string{"called", "polled", "known"} {
			require.Nil(t, o.batch(key(id)).Fetch, id)
		}
		o.reopen()
	}
	require.Equal(t, 1, o.stats(plan).Polled)
	o.record(arrives(62, polled(allDelivered("polled", alice, bob))), arrives(63, allDelivered("polled", alice, bob)))
	require.Equal(t, 1, o.stats(plan).Duplicates, "only a repeated callback is a duplicate")
}

func missingAtOnce(t *testing.T, place Place) {
	o := open(t, place, fetching())
	now := store.FetchNow{BatchInfo: sends("batch", 2, 0)}
	o.record(arrives(10, now))
	require.Len(t, o.missingReports(plan, sec(10), 10), 1)
	o.record(arrives(10, reportFetched("batch")))
	require.Empty(t, o.missingReports(plan, sec(11), 10))
	o.record(arrives(12, now))
	require.Len(t, o.missingReports(plan, sec(12), 10), 1)
}

func missingNever(t *testing.T, place Place) {
	o := open(t, place, Config{Policies: func(p string) store.Policy {
		if p == plan {
			return store.Policy{}
		}
		return fetching().Policies(p)
	}})
	o.record(arrives(0, sends("batch", 2, 0)), at(sec(0), "other", sends("batch", 2, 0)))
	require.Empty(t, o.missingReports(plan, sec(1e7), 10))
	require.Len(t, o.missingReports("other", sec(1e7), 10), 1)
}

func missingOfMany(t *testing.T, place Place) {
	const batches, each = 150, 40
	o := open(t, place, fetching())
	var arrivals []store.Arrival
	for i := range batches {
		arrivals = append(arrivals, arrives(i%7, sends(fmt.Sprint(i), 2, 0)))
	}
	o.recordAll(arrivals)
	fetched := make(map[string]bool)
	for len(fetched) < batches {
		now := sec(100)
		some := o.missingReports(plan, now, each)
		require.Len(t, some, min(each, batches-len(fetched)))
		var last time.Time
		for _, b := range some {
			require.False(t, fetched[b.ID], "returned after its fetch")
			require.False(t, b.Fetch.Due.Before(last))
			fetched[b.ID], last = true, b.Fetch.Due
			o.record(at(now, plan, reportFetched(b.ID)))
		}
	}
	require.Empty(t, o.missingReports(plan, sec(100), each))
}

func missingAfterRestart(t *testing.T, place Place) {
	o := open(t, place, fetching())
	for i := range 5 {
		o.record(arrives(i, sends(fmt.Sprint(i), 2, i)))
		o.reopen()
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, ids(o.missingReports(plan, sec(100), 10)))
}

func missingUntilTheEnd(t *testing.T, place Place) {
	o := open(t, place, fetching())
	missing := func(want int) {
		t.Helper()
		require.Equal(t, store.Tally{Missing: want}, o.stats(plan).Feedback)
		require.Equal(t, want, o.Gauges().Plans[plan].Missing)
	}
	refused := reportFetched("refused")
	refused.Refused = "404 not_found"
	groups := sends("groups", 1, 0)
	groups.Groups = 1 // of unknown size
	o.record(
		arrives(0, sends("reported", 2, 0)), arrives(0, sends("refused", 3, 0)),
		arrives(0, sends("deleted", 4, 0)), arrives(0, groups),
	)
	missing(9)
	o.record(
		arrives(1, says("reported", alice, dlr.Dispatched, 401, sec(1))),
		arrives(2, delivered("reported", alice)), arrives(2, delivered("reported", alice)),
	)
	missing(8)
	o.record(arrives(3, says("reported", bob, dlr.Expired, 0, sec(3))))
	missing(7)
	o.record(arrives(60, refused))
	missing(4)
	o.reopen()
	missing(4)
	require.Equal(t, 4, o.deleteOlder(sec(0).Add(month), 10))
	for range 2 {
		missing(0)
		o.reopen()
	}
}
