package metrics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// ended returns changes in which messages to the number ended with the status.
func ended(number string, s dlr.Status, messages int) []store.Changes {
	return []store.Changes{{Plan: "p", Applied: []store.Applied{{
		State: dlr.State{Status: s, At: sent}, Number: number, Messages: messages, ReceivedAt: sent.Add(time.Second),
	}}}}
}

func TestRoutesCountFinalMessagesByCountry(t *testing.T) {
	m, r := newMetrics(t, "p")
	again := recipientReport("447700900133", dlr.Delivered, 0, sent.Add(50*time.Second))
	m.Observer().Folded(folds("p",
		store.Report{Report: recipientReport("447700900133", dlr.Dispatched, 401, sent)}, // not final
		store.Report{Report: again},
		store.Report{Report: again}, // a repeat
		store.Report{Report: recipientReport("447700900133", dlr.Delivered, 0, sent.Add(51*time.Second))}, // already reported
		store.Report{Report: recipientReport("447700900134", dlr.Failed, 153, sent)},
		store.Report{Report: recipientReport("447700900135", dlr.Unknown, 0, sent)},
		store.Report{Report: recipientReport("12025550100", dlr.Expired, 0, sent), Source: store.FromPoll},
		store.Report{Report: recipientReport("14165550100", dlr.Rejected, 60, sent)},
		store.Report{Report: recipientReport("14165550101", "Teleported", 0, sent)}, // not documented as final
		store.Report{Report: recipientReport("88212345678", dlr.Delivered, 0, sent)},
		store.Report{Report: &dlr.Report{Type: dlr.BatchSMS, BatchID: "b", Total: 40, Entries: []dlr.Entry{ // a summary
			{State: dlr.State{Status: dlr.Delivered}, Count: 40},
		}}},
	))
	counted := make(map[string]float64)
	for name, value := range exported(t, r) {
		if labels, found := strings.CutPrefix(name, "route_messages_total"); found {
			counted[labels] = value
		}
	}
	require.Equal(t, map[string]float64{
		"{country=GB,result=delivered}": 1, "{country=GB,result=undelivered}": 1, "{country=GB,result=unknown}": 1,
		"{country=US,result=delivered}": 0, "{country=US,result=undelivered}": 1, "{country=US,result=unknown}": 0,
		"{country=CA,result=delivered}": 0, "{country=CA,result=undelivered}": 1, "{country=CA,result=unknown}": 0,
		"{country=other,result=delivered}": 1, "{country=other,result=undelivered}": 0, "{country=other,result=unknown}": 0,
	}, counted)
}

// Messages to every country create series for the first 45 countries only.
func TestOnlyTheFirstCountriesHaveSeries(t *testing.T) {
	m, r := newMetrics(t, "p")
	folded := m.Observer().Folded
	for range 2 {
		for first := 1000; first < 10_000; first++ {
			folded(ended(fmt.Sprint(first, "5550100"), dlr.Delivered, 1))
		}
	}
	countries, others, all := 0, 0.0, 0.0
	for name, value := range exported(t, r) {
		if !strings.HasPrefix(name, "route_messages_total") || !strings.HasSuffix(name, "result=delivered}") {
			continue
		}
		countries++
		all += value
		if strings.Contains(name, "country=other") {
			others = value
		}
	}
	require.Equal(t, 45+1, countries)
	require.Equal(t, 2.0*9000, all)
	require.Greater(t, others, all/4)

	folded(ended("12025550100", dlr.Delivered, 1))
	folded(ended("998901234567", dlr.Delivered, 1))
	series := exported(t, r)
	require.Equal(t, others+1, series["route_messages_total{country=other,result=delivered}"],
		"the first country keeps its series, the last has none")
}

func TestCountingAReportDoesNotAllocate(t *testing.T) {
	m, _ := newMetrics(t, "p")
	folded, changes := m.Observer().Folded, ended("447700900133", dlr.Delivered, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() { folded(changes) }))
}

func TestOperatorLag(t *testing.T) {
	m, r := newMetrics(t, "p")
	with := func(number string, operator time.Time) store.Report {
		report := recipientReport(number, dlr.Delivered, 0, sent.Add(30*time.Second))
		report.Entries[0].OperatorAt = operator
		return store.Report{Report: report}
	}
	m.Observer().Folded(folds("p",
		with("447700900133", sent.Add(10*time.Second)),
		with("447700900133", sent.Add(10*time.Second)), // a repeat
		with("447700900134", time.Time{}),
		with("447700900135", sent.Add(40*time.Second)), // the operator's clock is ahead
		// without Sinch's time
		store.Report{Report: &dlr.Report{Type: dlr.BatchSMS, BatchID: "b", Total: 1, Entries: []dlr.Entry{
			{State: dlr.State{Status: dlr.Failed, OperatorAt: sent}, Count: 1},
		}}},
	))
	require.Equal(t, 2.0, exported(t, r)["operator_lag_seconds"])
	require.Equal(t, 20.0, sum(t, r, "dlrloop_operator_lag_seconds", ""))
}
