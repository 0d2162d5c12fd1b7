package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/application"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// accepted handles an event that the simulated application accepted for the first time. It prints a line about a
// completed batch or an inbound message, and only counts events of other types. A timer calls printEvents, which prints
// the counts, 300 ms (reportWindow) after the first counted event.
func (p *printer) accepted(e application.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Type {
	case "batch.completed":
		p.line(green, "⇨", "event", "%s %s: %s", e.Type, short(e.Batch), e.Detail)
	case "inbound.received":
		p.line(green, "⇨", "event", "%s from %s", e.Type, short(e.Number))
	default:
		p.events[e.Type]++
		if p.flush == nil {
			p.flush = time.AfterFunc(reportWindow, p.printEvents)
		}
	}
}

// printEvents prints how many events of each type the application has accepted since the last call. The caller must not
// hold p.mu.
func (p *printer) printEvents() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush = nil
	if len(p.events) == 0 {
		return
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p.events)) {
		parts = append(parts, fmt.Sprintf("%d %s", p.events[name], name))
	}
	clear(p.events)
	p.line(plain, "⇨", "events", "the application accepted %s", strings.Join(parts, ", "))
}

// undelivered returns how many events the simulated application has not accepted yet. The application must accept one
// event for each recipient with a final status, except in batches for which dlrloop gets no report that names
// recipients. It must also accept one event for each inbound message that dlrloop acknowledged to Sinch.
func (w *world) undelivered() (n int) {
	statuses := make(map[ledger.BatchRecipient]string)
	inbound := 0
	for _, e := range w.application.Events() {
		switch e.Type {
		case "recipient.status":
			statuses[ledger.BatchRecipient{Batch: e.Batch, Recipient: strings.TrimPrefix(e.Number, "+")}] = e.Status
		case "inbound.received":
			inbound++
		}
	}
	record := w.sinch.Ledger()
	for _, b := range record.Batches {
		for _, r := range b.Recipients {
			known := b.Report != "none" && (b.Report != "summary" || b.FeedbackEnabled)
			if known && r.Final && statuses[ledger.BatchRecipient{Batch: b.ID, Recipient: r.Recipient}] != r.Status {
				n++
			}
		}
	}
	return n + max(0, len(record.AcknowledgedInbound())-inbound)
}
