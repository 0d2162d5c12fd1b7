package demo

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/store"
)

const (
	// reportWindow is the period in which reports or events are counted, to be printed as one line.
	reportWindow = 300 * time.Millisecond
	// minGap is the minimum time between two lines of the same kind about single reports.
	minGap = 400 * time.Millisecond
)

// printer prints what happens in the demo, such as a sent batch or a failed feedback call, one line each. It is safe
// for concurrent use, because the simulator and the store call it from goroutines of their own.
type printer struct {
	out     io.Writer
	color   bool
	started time.Time

	mu      sync.Mutex
	reports map[dlr.Status]int    // reports for the next line; guarded by mu
	timer   *time.Timer           // prints that line; guarded by mu
	final   map[string]dlr.Status // final status by batch id and phone number; guarded by mu
	failed  map[string]int        // failed feedback calls since the last success, by batch id; guarded by mu
	last    map[string]time.Time  // time of the last line of a kind; guarded by mu
	events  map[string]int        // accepted events by type, for the next line; guarded by mu
	flush   *time.Timer           // prints that line; guarded by mu
	fetched int                   // messages whose report was fetched from Sinch; guarded by mu
	closed  bool                  // guarded by mu
}

func newPrinter(out io.Writer, color bool, started time.Time) *printer {
	return &printer{
		out: out, color: color, started: started, reports: make(map[dlr.Status]int), events: make(map[string]int),
		final: make(map[string]dlr.Status), failed: make(map[string]int), last: make(map[string]time.Time),
	}
}

// The ANSI escape sequences with which the type printer styles text on a terminal. reset ends a style; plain means no
// style.
const (
	plain  = ""
	faint  = "\x1b[2m"
	bold   = "\x1b[1m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	blue   = "\x1b[34m"
	violet = "\x1b[35m"
	reset  = "\x1b[0m"
)

func (p *printer) paint(color, text string) string {
	if !p.color || color == plain {
		return text
	}
	return color + text + reset
}

// line prints one line: the seconds since the start of the demo, sign and label in the given color, and the formatted
// text. sign is a symbol such as "✓", and label names the kind of the line, such as "feedback". line prints nothing
// after close was called. The caller must hold p.mu.
func (p *printer) line(color, sign, label, format string, args ...any) {
	if p.closed {
		return
	}
	at := p.paint(faint, fmt.Sprintf("%6.2fs", time.Since(p.started).Seconds()))
	fmt.Fprintf(p.out, "%s  %s %s\n", at, p.paint(color, fmt.Sprintf("%s %-10s", sign, label)),
		fmt.Sprintf(format, args...))
}

// mayPrint reports whether the caller may print a line of this kind, such as "late" or "duplicate". It returns false if
// the last line of the kind was printed less than 400 ms (minGap) ago. If it returns true, it records the current time
// as the time of the new line. The caller must hold p.mu.
func (p *printer) mayPrint(kind string) bool {
	now := time.Now()
	if now.Sub(p.last[kind]) < minGap {
		return false
	}
	p.last[kind] = now
	return true
}

func (p *printer) printHeader(w *world) {
	fmt.Fprintf(p.out, "%s  dlrloop, a simulated Sinch and a simulated application, both with faults, in one process.\n"+
		"Press Ctrl-C to stop.\n\n", p.paint(bold, "dlrloop demo"))
	for _, l := range [][2]string{
		{"gateway", w.private("/xms/v1/" + plan)},
		{"webhook", w.webhook()},
		{"API", w.private("/api/v1/batches")},
		{"metrics", w.private("/metrics")},
		{"Sinch", w.control.origin() + "/control/state"},
		{"application", w.receiver.origin() + "/ledger"},
	} {
		fmt.Fprintf(p.out, "  %-13s %s\n", l[0], p.paint(blue, l[1]))
	}
	fmt.Fprintln(p.out)
}

// short returns "…" and the last six characters of id, a batch id or phone number. In the demo, these characters are
// enough to distinguish them.
func short(id string) string { return "…" + id[max(0, len(id)-6):] }

func (p *printer) sent(id string, b batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wanted := ""
	if b.feedback {
		wanted = ", feedback wanted"
	}
	p.line(bold, "→", "sent", "batch %s to %d recipients, reports: %s%s", short(id), b.recipients, b.kind, wanted)
}

// received prints that a phone sent the inbound message STOP. from is the number of the phone.
func (p *printer) received(from string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(plain, "→", "phone", "%s sends STOP to the plan", short(from))
}

// stored prints the text of an inbound message that dlrloop has stored, and the number of the phone that sent it.
func (p *printer) stored(from, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(green, "✉", "inbound", "%q from %s is stored", text, short(from))
}

// changed prints what new reports changed in dlrloop's store. The store calls changed after it has applied the reports.
// Late reports, repeated reports and reports fetched from Sinch get lines of their own. changed also counts the
// messages of all applied reports by status. A timer calls printReports, which prints the counts, 300 ms (reportWindow)
// after the first counted message.
func (p *printer) changed(changes []store.Changes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		for _, t := range c.Applied {
			p.addReport(c.BatchID, t)
		}
		if c.Duplicates > 0 && p.mayPrint("duplicate") {
			p.line(violet, "↺", "duplicate", "%s of batch %s came again and changed nothing", reports(c.Duplicates),
				short(c.BatchID))
		}
		switch fetched := finalByPolling(c); {
		case fetched > 0:
			p.fetched += fetched
			p.line(blue, "⇣", "found", "no callback for %s of batch %s: read from Sinch", reports(fetched), short(c.BatchID))
		case c.Polled > 0:
			p.line(blue, "⇣", "completed", "the summary of batch %s names no recipients: read the full report from Sinch",
				short(c.BatchID))
		}
	}
	if len(p.reports) > 0 && p.timer == nil {
		p.timer = time.AfterFunc(reportWindow, p.printReports)
	}
}

// fetchedFinal returns how many messages since the start of the demo got their final status from a report that dlrloop
// fetched from Sinch, and not from a callback.
func (p *printer) fetchedFinal() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetched
}

// finalByPolling returns how many messages became final in the change c by a report that dlrloop fetched from Sinch,
// not by a callback.
func finalByPolling(c store.Changes) (messages int) {
	for _, t := range c.Applied {
		if t.Source == store.FromPoll && t.Status.Final() {
			messages += t.Messages
		}
	}
	return messages
}

func reports(n int) string {
	if n == 1 {
		return "1 report"
	}
	return fmt.Sprintf("%d reports", n)
}

// addReport adds t, one state from a new report about the batch, to the counts by status that printReports prints next.
// If the status in t is intermediate but the recipient already has a final status, addReport also prints that the
// report is late, unless mayPrint returns false. The caller must hold p.mu.
func (p *printer) addReport(batchID string, t store.Applied) {
	if t.Messages > 0 {
		p.reports[t.Status] += t.Messages
	}
	if t.Number == "" {
		return
	}
	key := batchID + "/" + t.Number
	switch final, known := p.final[key]; {
	case t.Status.Final():
		p.final[key] = t.Status
	case known && p.mayPrint("late"):
		p.line(yellow, "⤨", "late", "%s of %s came after %s: it stays %s", t.Status, dlr.Number(t.Number).Masked(), final,
			final)
	}
}

// printReports prints how many messages got each status since the last call. The caller must not hold p.mu.
func (p *printer) printReports() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	total, parts := 0, []string{}
	for _, status := range slices.Sorted(maps.Keys(p.reports)) {
		total += p.reports[status]
		parts = append(parts, fmt.Sprintf("%d %s", p.reports[status], status))
	}
	clear(p.reports)
	p.line(plain, "←", "reports", "%3d on disk: %s", total, strings.Join(parts, ", "))
}

// sinchEntry prints whether the simulated Sinch accepted a feedback call. e is an entry of the ledger, the simulator's
// record of all requests; sinchEntry ignores entries of other kinds.
func (p *printer) sinchEntry(e ledger.Entry) {
	if e.Kind != ledger.FeedbackReceived {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Answer != http.StatusAccepted {
		p.failed[e.Batch]++
		p.line(yellow, "✗", "upstream", "feedback for batch %s %s: will be retried", short(e.Batch), failure(e))
		return
	}
	again := ""
	if n := p.failed[e.Batch]; n > 0 {
		again = fmt.Sprintf(", failed calls before: %d", n)
		delete(p.failed, e.Batch)
	}
	p.line(green, "✓", "feedback", "Sinch accepted the feedback for batch %s, recipients: %d%s", short(e.Batch), e.Count,
		again)
}

// failure describes a failed feedback call in words, for example "was answered 503" or "got no answer".
func failure(e ledger.Entry) string {
	how := "got no answer"
	if e.Answer != 0 {
		how = fmt.Sprintf("was answered %d", e.Answer)
	}
	if e.Applied {
		how += ", although Sinch applied it"
	}
	return how
}

// close prints the counts of reports and events that are not printed yet. After close, the method line prints nothing,
// but printSummary still does.
func (p *printer) close() {
	p.mu.Lock()
	pending, pendingEvents := len(p.reports) > 0, len(p.events) > 0
	for _, timer := range []*time.Timer{p.timer, p.flush} {
		if timer != nil {
			timer.Stop()
		}
	}
	p.mu.Unlock()
	if pending {
		p.printReports()
	}
	if pendingEvents {
		p.printEvents()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}
