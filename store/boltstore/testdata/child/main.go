// Child uses a store from several goroutines while it is traced, killed, or given failing system calls. It prints
// which arrivals it begins to record and which are acknowledged, each line with one write, so that the trace shows
// these lines between the store's own writes. The tests of boltstore build and run it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

var noon = time.Date(2026, 8, 30, 12, 0, 0, 0, time.UTC)

type child struct {
	store      *boltstore.Store
	generation int
	reports    int // reports recorded by each goroutine
	batches    int
	recipients int          // recipients of each full report
	exitAfter  int          // exit abruptly after so many acknowledged arrivals; 0 for never
	clock      atomic.Int64 // time of the last arrival, milliseconds after noon
	done       atomic.Int64 // number of acknowledged arrivals
}

func main() {
	var (
		c       child
		config  boltstore.Config
		seed    = flag.Uint64("seed", 1, "of the random numbers")
		idle    = flag.Bool("idle", false, "only open the store, and wait for a kill")
		abandon = flag.Bool("abandon", false, "exit without waiting for the fold")
		loaders = flag.Int("loaders", 3, "number of goroutines that record")
		erases  = flag.Bool("erase", false, "erase a number of an earlier run")
	)
	flag.StringVar(&config.Path, "path", "", "the store's directory")
	flag.IntVar(&config.Segment, "segment", 16<<10, "bytes of a journal segment")
	flag.Int64Var(&config.JournalLimit, "limit", 128<<10, "bytes of the journal")
	flag.DurationVar(&config.FoldEvery, "fold-every", 20*time.Millisecond, "longest time between fold steps")
	flag.IntVar(&c.generation, "generation", 1, "number of this run on the same directory")
	flag.IntVar(&c.reports, "reports", 40, "number of reports that each goroutine records")
	flag.IntVar(&c.batches, "batches", 5, "number of batches")
	flag.IntVar(&c.recipients, "recipients", 20, "recipients of each full report")
	flag.IntVar(&config.StepBytes, "step-bytes", 0, "memory of a fold step in bytes")
	flag.IntVar(&c.exitAfter, "exit-after", 0, "exit abruptly after so many acknowledged arrivals")
	flag.Parse()
	c.clock.Store(int64(c.generation-1) * time.Minute.Milliseconds()) // times rise from one process to the next
	config.Committer.Patience = 500 * time.Millisecond
	config.Policies = func(string) store.Policy {
		return store.Policy{
			MissingReports: store.MissingReports{Silence: time.Hour}, Events: true, KeepCallbacks: true,
		}
	}

	s, err := boltstore.Open(context.Background(), config)
	if err != nil {
		say("refused %v", err)
		os.Exit(3)
	}
	c.store = s
	say("ready")
	if *idle {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	ctx, stop := context.WithCancel(context.Background())
	var loading, others sync.WaitGroup
	for g := range *loaders {
		loading.Go(func() { c.load(g, rand.New(rand.NewPCG(*seed, uint64(g)))) })
	}
	others.Go(func() { c.relay(ctx) })
	others.Go(func() { c.reconcile(ctx) })
	others.Go(func() { c.deleteOlder(ctx) })
	others.Go(func() { c.deliver(ctx) })
	if *erases {
		loading.Go(func() { c.erase(context.Background()) })
	}
	loading.Wait()
	stop()
	others.Wait()
	if !*abandon {
		_, _ = s.Stats(context.Background()) // waits for the fold; afterwards nothing can fail
	}
	if err := s.Err(); err != nil {
		say("ended %v", err)
		c.printNotClosed(context.Background())
		os.Exit(4)
	}
	say("finished") // exits without Close, as if killed
}

// printNotClosed prints the methods that do not return ErrClosed.
func (c *child) printNotClosed(ctx context.Context) {
	key := store.BatchKey{Plan: "live", BatchID: "batch-0"}
	closed := make(map[string]error)
	closed["Record"] = c.store.Record(ctx, store.Arrival{Plan: "live", At: noon, Entry: store.BatchInfo{BatchID: "x"}})
	closed["Ready"] = c.store.Ready(ctx)
	_, closed["Claim"] = c.store.Claim(ctx, "live", noon, time.Hour, 1)
	_, closed["MissingReports"] = c.store.MissingReports(ctx, "live", noon, 1)
	_, closed["Batch"] = c.store.Batch(ctx, key)
	_, closed["Stats"] = c.store.Stats(ctx)
	_, closed["Requeue"] = c.store.Requeue(ctx, key, noon)
	_, _, closed["DeleteOlder"] = c.store.DeleteOlder(ctx, noon, 1)
	_, closed["Events"] = c.store.Events(ctx, "", 1)
	_, closed["SaveDestination"] = c.store.SaveDestination(ctx, "new", store.DestinationChange{})
	_, closed["RequeueEvents"] = c.store.RequeueEvents(ctx, "app", noon)
	closed["TrimEvents"] = c.store.TrimEvents(ctx, noon)
	_, closed["Erase"] = c.store.Erase(ctx, "447700900001")
	for method, err := range closed {
		if !errors.Is(err, store.ErrClosed) {
			say("open %s: %v", method, err)
		}
	}
	select {
	case <-c.store.Done():
	default:
		say("open Done")
	}
}

func say(format string, args ...any) {
	_, _ = io.WriteString(os.Stdout, fmt.Sprintf(format+"\n", args...))
}

// record prints that it begins, records an arrival, and prints and returns whether it was acknowledged.
func (c *child) record(what string, a store.Arrival) (done bool) {
	a.At = a.At.Add(time.Duration(c.clock.Add(1)) * time.Millisecond)
	say("begin %s", what)
	if err := c.store.Record(context.Background(), a); err != nil {
		say("failed %s: %v", what, err)
		return false
	}
	say("done %s", what)
	if c.done.Add(1) == int64(c.exitAfter) {
		time.AfterFunc(rand.N(10*time.Millisecond), func() { os.Exit(0) })
	}
	return true
}

// load records reports of all kinds. Each has a unique name in client_reference and a recipient of its own.
func (c *child) load(loader int, r *rand.Rand) {
	for i := range c.reports {
		name := fmt.Sprintf("%d-%d-%d", c.generation, loader, i)
		number := fmt.Sprintf("4479%d%02d%05d", c.generation, loader, i)
		batch := fmt.Sprintf("batch-%d", r.IntN(c.batches))
		a := store.Arrival{Plan: "live", At: noon}
		again := false
		switch kind := r.IntN(20); {
		case i == 0:
			a.Entry = store.BatchInfo{
				BatchID: batch, FeedbackEnabled: true, CreatedAt: noon, ModifiedAt: noon, ClientReference: name,
				// So many recipients never report, so reports are always missing.
				ReportKind: "per_recipient", Recipients: 1_000_000,
			}
			name = "info " + batch
		case kind == 0:
			a.Entry = store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("not understood " + name)}
			name = "quarantined " + name
		case kind == 1: // a full report
			var all []string
			for n := range c.recipients {
				all = append(all, fmt.Sprintf(`"4478%d%02d%03d%04d"`, c.generation, loader, i, n))
			}
			got := c.recipients * 3 / 5
			a.Entry = report(`{"type":"delivery_report_sms","batch_id":%q,"total_message_count":%d,`+
				`"client_reference":%q,`+
				`"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]},`+
				`{"code":402,"status":"Failed","count":%d,"recipients":[%s]}]}`,
				batch, c.recipients, name, got, strings.Join(all[:got], ","),
				c.recipients-got, strings.Join(all[got:], ","))
			name = "report " + name
		case kind == 2: // for retention to delete
			a.Plan, a.At = "old", noon.AddDate(-6, 0, 0)
			a.Entry = recipientReport(batch, number, "Failed", name, 0)
			name = "old " + name
		case kind == 3: // larger than a segment
			a.Entry = recipientReport(batch, number, "Expired", name, 20_000)
			name = "report " + name
		case kind == 5:
			a.Entry = inbound(name, number, r.IntN(600))
			if name = "inbound " + name; i%2 == 0 {
				c.record(name, a) // and below again: it must be stored once
			}
		default:
			a.Entry = recipientReport(batch, number, "Delivered", name, r.IntN(600))
			name, again = "report "+name, kind == 4
		}
		if c.record(name, a) && again {
			c.record("again "+name, a)
		}
		if c.store.Err() != nil {
			return
		}
	}
}

func recipientReport(batch, number, status, name string, padding int) store.Report {
	return report(`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,"code":0,"status":%q,`+
		`"at":"2026-08-30T08:16:08.930Z","client_reference":%q,"padding":%q}`,
		batch, number, status, name, strings.Repeat("x", padding))
}

func report(format string, args ...any) store.Report {
	raw := fmt.Appendf(nil, format, args...)
	callback, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Report{Report: callback.Report, Raw: raw}
}

func inbound(id, from string, length int) store.Inbound {
	raw := fmt.Appendf(nil, `{"type":"mo_text","id":%q,"from":%q,"to":"54321","body":%q}`, id, from,
		strings.Repeat("x", length))
	callback, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Inbound{Inbound: callback.Inbound, Raw: raw}
}

// relay settles owed feedback until ctx ends: most of it as accepted, some as dead.
func (c *child) relay(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		claims, err := c.store.Claim(ctx, "live", noon.Add(time.Hour), 12*time.Hour, 3)
		if err != nil {
			return
		}
		for _, claim := range claims {
			s := store.Settlement{
				BatchID: claim.Key.BatchID, Lease: claim.Lease, Recipients: claim.Recipients,
				Outcome: store.OutcomeAccepted, Reason: store.ReasonAccepted,
			}
			if n%7 == 0 {
				s.Outcome, s.Reason = store.OutcomeDead, store.ReasonRejected
			}
			what := fmt.Sprintf("%s %s %s", s.Outcome, claim.Key.BatchID, strings.Join(claim.Recipients, " "))
			c.record(what, store.Arrival{Plan: "live", At: noon, Entry: s})
		}
		wait(ctx, 5*time.Millisecond)
	}
}

// reconcile records a ReportFetched for each batch with missing reports until ctx ends.
// After a later callback, MissingReports returns the batch again.
func (c *child) reconcile(ctx context.Context) {
	later := noon.Add(2 * time.Hour)
	for ctx.Err() == nil {
		batches, err := c.store.MissingReports(ctx, "live", later, 2)
		if err != nil {
			return
		}
		for _, b := range batches {
			c.record("fetched "+b.ID, store.Arrival{Plan: "live", At: later, Entry: store.ReportFetched{BatchID: b.ID}})
		}
		wait(ctx, 10*time.Millisecond)
	}
}

// deliver reads events and saves the progress of a destination until ctx ends. It prints the epoch of each change. Each
// change defers one event and deletes that of the change before.
func (c *child) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, 15*time.Millisecond)
		all, err := c.store.Destinations(ctx)
		if err != nil {
			continue
		}
		d := store.Destination{Name: "app"}
		if len(all) > 0 {
			d = all[0]
		}
		page, err := c.store.Events(ctx, d.Cursor, 40)
		if err != nil || len(page.Events) == 0 {
			continue
		}
		change := store.DestinationChange{
			Epoch: d.Epoch, Cursor: page.Next, Delete: []int64{d.LastID},
			Put: []store.DeferredEvent{{ID: d.LastID + 1, Event: page.Events[0], Since: noon, Due: noon}},
		}
		say("begin destination %d", d.Epoch+1)
		if _, err := c.store.SaveDestination(context.Background(), "app", change); err != nil {
			say("failed destination %d: %v", d.Epoch+1, err)
			continue
		}
		say("done destination %d", d.Epoch+1)
	}
}

// erase erases the number of one recipient of a full report whose message failed, so that no feedback was settled. It
// prints the number before and after.
func (c *child) erase(ctx context.Context) {
	batches, err := c.store.Batches(ctx, store.BatchQuery{Plan: "live"})
	if err != nil {
		return
	}
	for _, b := range batches.Items {
		page, err := c.store.Recipients(ctx, b.Key(), store.RecipientQuery{Status: dlr.Failed})
		if err != nil {
			return
		}
		for _, r := range page.Items {
			if !strings.HasPrefix(r.Number, "4478") {
				continue
			}
			say("erase %s", r.Number)
			if _, err := c.store.Erase(ctx, r.Number); err == nil {
				say("erased %s", r.Number)
			}
			return
		}
	}
}

// deleteOlder applies retention until ctx ends.
func (c *child) deleteOlder(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, 30*time.Millisecond)
		say("retention begins")
		_, _, err := c.store.DeleteOlder(context.Background(), noon.AddDate(-5, 0, 0), 2)
		say("retention ends")
		if err != nil && c.store.Err() != nil {
			return
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
