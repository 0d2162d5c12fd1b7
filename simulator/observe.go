package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// EventKind is the kind of an Event.
type EventKind string

const (
	BatchSent         EventKind = "batch_sent"
	BatchUpdated      EventKind = "batch_updated"
	BatchReplaced     EventKind = "batch_replaced"
	BatchCanceled     EventKind = "batch_canceled"
	CallbackAnswered  EventKind = "callback_answered" // one attempt, with or without an answer
	CallbackRepeated  EventKind = "callback_repeated" // acknowledged, will be sent again
	CallbackOvertaken EventKind = "callback_overtaken"
	CallbackLate      EventKind = "callback_late"
	CallbackLost      EventKind = "callback_lost"
	CallbackGaveUp    EventKind = "callback_gave_up"
	FeedbackReceived  EventKind = "feedback_received" // applied or not; follows FaultInjected if a fault hit the call
	FaultInjected     EventKind = "fault_injected"
)

// Event is passed to observers. Members that do not apply are zero.
type Event struct {
	At        time.Time
	Kind      EventKind
	Plan      string
	Batch     string
	Operation fault.Operation // of the call
	Type      string          // type member of the callback
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

// Observe registers f to be called for each later event. f is called from several goroutines, possibly at the same
// time. It blocks the simulator, so it must return quickly. It may call methods of the Simulator.
func (s *Simulator) Observe(f func(Event)) {
	s.mu.Lock()
	defer s.unlock()
	s.observers = append(s.observers, f)
}

// emit queues e for the observers until unlock. The caller holds mu.
func (s *Simulator) emit(e Event) {
	if len(s.observers) > 0 {
		e.At = time.Now()
		s.emitted = append(s.emitted, e)
	}
}

// unlock unlocks mu and then passes the queued events to the observers, so that observers may call the Simulator.
func (s *Simulator) unlock() {
	emitted, observers := s.emitted, s.observers
	s.emitted = nil
	s.mu.Unlock()
	for _, e := range emitted {
		for _, f := range observers {
			f(e)
		}
	}
}
