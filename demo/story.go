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
	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/store"
)

const (
	// gather is how long reports are gathered into one line.
	gather = 300 * time.Millisecond
	// breath is how much time passes between two lines of the same kind that tell of a single report.
	breath = 400 * time.Millisecond
)

// story writes what happens, a line for each thing worth telling. It is told by Sinch's side and by the store.
type story struct {
	out   io.Writer
	color bool
	began time.Time

	mu      sync.Mutex
	reports map[dlr.Status]int    // gathered for the next line of reports; guarded by mu
	timer   *time.Timer           // writes that line; guarded by mu
	final   map[string]dlr.Status // the final status of each batch's recipients; guarded by mu
	failed  map[string]int        // feedback calls of a batch that failed since the last success; guarded by mu
	last    map[string]time.Time  // when a kind of line was last written; guarded by mu
	found   int                   // messages whose report never came; guarded by mu
	over    bool                  // guarded by mu
}

func newStory(out io.Writer, color bool, began time.Time) *story {
	return &story{
		out: out, color: color, began: began, reports: make(map[dlr.Status]int),
		final: make(map[string]dlr.Status), failed: make(map[string]int), last: make(map[string]time.Time),
	}
}

// Colours of the terminal, by what a line tells of.
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

func (s *story) paint(color, text string) string {
	if !s.color || color == plain {
		return text
	}
	return color + text + reset
}

// line writes a line. The caller holds mu.
func (s *story) line(color, sign, what, format string, args ...any) {
	if s.over {
		return
	}
	at := s.paint(faint, fmt.Sprintf("%6.2fs", time.Since(s.began).Seconds()))
	fmt.Fprintf(s.out, "%s  %s %s\n", at, s.paint(color, fmt.Sprintf("%s %-10s", sign, what)), fmt.Sprintf(format, args...))
}

// rare reports whether a line of this kind may be written again. The caller holds mu.
func (s *story) rare(kind string) bool {
	now := time.Now()
	if now.Sub(s.last[kind]) < breath {
		return false
	}
	s.last[kind] = now
	return true
}

func (s *story) introduce(w *world) {
	fmt.Fprintf(s.out, "%s  Sinch is simulated, bad days included; all of it runs in this process. Ctrl-C ends it.\n\n", s.paint(bold, "dlrloop demo"))
	for _, l := range [][2]string{
		{"gateway", w.private("/xms/v1/" + plan)},
		{"webhook", w.webhook()},
		{"API", w.private("/api/v1/batches")},
		{"metrics", w.private("/metrics")},
		{"Sinch's side", w.origin(w.controlListener) + "/control/state"},
	} {
		fmt.Fprintf(s.out, "  %-13s %s\n", l[0], s.paint(blue, l[1]))
	}
	fmt.Fprintln(s.out)
}

// short is the end of a batch id, which tells it from the others.
func short(id string) string { return "…" + id[max(0, len(id)-6):] }

func (s *story) sent(id string, b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := ""
	if b.feedback {
		wanted = ", feedback wanted"
	}
	s.line(bold, "→", "sent", "batch %s to %d recipients, reports: %s%s", short(id), b.recipients, b.kind, wanted)
}

// folded tells what dlrloop made of what came in.
func (s *story) folded(changes []store.Changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		for _, t := range c.Taken {
			s.taken(c.BatchID, t)
		}
		if c.Duplicates > 0 && s.rare("repeat") {
			s.line(violet, "↺", "repeat", "%s of batch %s came again: absorbed, nothing counts twice", reports(c.Duplicates), short(c.BatchID))
		}
		switch found := settledByReading(c); {
		case found > 0:
			s.found += found
			s.line(blue, "⇣", "found", "%s of batch %s had not come: read from Sinch", reports(found), short(c.BatchID))
		case c.Polled > 0:
			s.line(blue, "⇣", "completed", "the summary of batch %s names nobody: read the full report from Sinch", short(c.BatchID))
		}
	}
	if len(s.reports) > 0 && s.timer == nil {
		s.timer = time.AfterFunc(gather, s.gathered)
	}
}

// foundMissing is how many messages were found by asking Sinch.
func (s *story) foundMissing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// settledByReading is how many messages a read of Sinch brought to a final status.
func settledByReading(c store.Changes) (messages int) {
	for _, t := range c.Taken {
		if t.Source == store.FromPoll && t.Status.Final() {
			messages += t.Messages
		}
	}
	return messages
}

func reports(n int) string {
	if n == 1 {
		return "a report"
	}
	return fmt.Sprintf("%d reports", n)
}

// taken gathers a report, or tells of it when a later one was there first. The caller holds mu.
func (s *story) taken(batchID string, t store.Taken) {
	if t.Messages > 0 {
		s.reports[t.Status] += t.Messages
	}
	if t.Number == "" {
		return
	}
	key := batchID + "/" + t.Number
	switch final, known := s.final[key]; {
	case t.Status.Final():
		s.final[key] = t.Status
	case known && s.rare("overtaken"):
		s.line(yellow, "⤨", "overtaken", "%s of %s came after %s: it stays %s", t.Status, dlr.Number(t.Number).Masked(), final, final)
	}
}

// gathered writes the line of reports.
func (s *story) gathered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = nil
	total, parts := 0, []string{}
	for _, status := range slices.Sorted(maps.Keys(s.reports)) {
		total += s.reports[status]
		parts = append(parts, fmt.Sprintf("%d %s", s.reports[status], status))
	}
	clear(s.reports)
	s.line(plain, "←", "reports", "%3d on disk: %s", total, strings.Join(parts, ", "))
}

// sinch tells what happened at Sinch's side.
func (s *story) sinch(e simulator.Event) {
	if e.Kind != simulator.FeedbackReceived {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Answer != http.StatusAccepted {
		s.failed[e.Batch]++
		s.line(yellow, "✗", "upstream", "feedback for batch %s %s: will be tried again", short(e.Batch), failure(e))
		return
	}
	again := ""
	if n := s.failed[e.Batch]; n > 0 {
		again = fmt.Sprintf(", after %d that failed", n)
		delete(s.failed, e.Batch)
	}
	s.line(green, "✓", "feedback", "Sinch took %d recipients of batch %s%s", e.Count, short(e.Batch), again)
}

// failure says how a feedback call failed, as the caller saw it.
func failure(e simulator.Event) string {
	how := "got no answer"
	if e.Answer != 0 {
		how = fmt.Sprintf("was answered %d", e.Answer)
	}
	if e.Applied {
		how += ", though it was applied"
	}
	return how
}

// end writes what is gathered and nothing more after it.
func (s *story) end() {
	s.mu.Lock()
	pending := len(s.reports) > 0
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	if pending {
		s.gathered()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
