package ledger

import (
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// EntryKind names what happened in an Entry, for example "callback_lost": the simulator did not send a callback.
type EntryKind string

// The values of EntryKind. Those that begin with Callback are about callbacks to the customer, the others about API
// calls by the customer.
const (
	BatchSent         EntryKind = "batch_sent"
	BatchUpdated      EntryKind = "batch_updated"
	BatchReplaced     EntryKind = "batch_replaced"
	BatchCanceled     EntryKind = "batch_canceled"
	CallbackAnswered  EntryKind = "callback_answered" // one attempt, with or without an answer
	CallbackRepeated  EntryKind = "callback_repeated" // acknowledged, will be sent again
	CallbackOvertaken EntryKind = "callback_overtaken"
	CallbackLate      EntryKind = "callback_late"
	CallbackLost      EntryKind = "callback_lost"
	CallbackGaveUp    EntryKind = "callback_gave_up"
	FeedbackReceived  EntryKind = "feedback_received" // applied or not; follows FaultInjected if a fault hit the call
	FaultInjected     EntryKind = "fault_injected"
)

// Entry describes one thing that happened in the simulator, such as a sent callback, as observers (see Feed) get it.
// Kind says what happened. Fields that do not apply are zero.
type Entry struct {
	At        time.Time
	Kind      EntryKind
	Plan      string
	Batch     string
	Operation fault.Operation // of the call
	Type      string          // JSON field type of the callback
	Callback  int             // ordinal in the ledger
	Recipient string          // digits; empty for batch reports and API calls
	Status    string          // delivery status in the callback
	Code      int
	Attempt   int    // from 1
	Answer    int    // HTTP status of the answer; 0 if there was none
	Failure   string // why a callback had no answer
	Fault     fault.Kind
	Count     int  // number of recipients of the batch or the feedback call
	Applied   bool // the feedback took effect, whatever the answer
}

// Feed passes each Entry to the observers, the functions given to Subscribe. The zero value has no observers and is
// ready to use. All methods are safe for concurrent use.
type Feed struct {
	mu        sync.Mutex // guards the fields below
	observers []func(Entry)
	queue     []Entry
}

// Subscribe makes Flush call observe for each Entry added from now on. Several goroutines may call observe at once.
func (f *Feed) Subscribe(observe func(Entry)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observers = append(f.observers, observe)
}

// Add queues entries until the next Flush and sets their time. Without observers it drops them. It calls no observer,
// so the caller may hold locks.
func (f *Feed) Add(entries ...Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.observers) == 0 {
		return
	}
	now := time.Now()
	for _, e := range entries {
		e.At = now
		f.queue = append(f.queue, e)
	}
}

// Flush calls the observers with the queued entries and blocks until they have returned. The caller must hold no lock
// that an observer may need.
func (f *Feed) Flush() {
	f.mu.Lock()
	queue, observers := f.queue, f.observers
	f.queue = nil
	f.mu.Unlock()
	for _, e := range queue {
		for _, observe := range observers {
			observe(e)
		}
	}
}
