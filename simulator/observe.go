package simulator

import "time"

// EventKind says what happened.
type EventKind string

const (
	BatchSent         EventKind = "batch_sent"
	BatchUpdated      EventKind = "batch_updated"
	BatchReplaced     EventKind = "batch_replaced"
	BatchCanceled     EventKind = "batch_canceled"
	CallbackAnswered  EventKind = "callback_answered" // one attempt, whatever came of it
	CallbackRepeated  EventKind = "callback_repeated" // acknowledged, yet to be sent again
	CallbackOvertaken EventKind = "callback_overtaken"
	CallbackLate      EventKind = "callback_late"
	CallbackLost      EventKind = "callback_lost"
	CallbackGaveUp    EventKind = "callback_gave_up"
	FeedbackReceived  EventKind = "feedback_received" // applied or not; after FaultInjected if a fault hit it
	FaultInjected     EventKind = "fault_injected"
)

// Event is one thing that happened, as an observer sees it. Members that do not apply are zero.
type Event struct {
	At        time.Time
	Kind      EventKind
	Plan      string
	Batch     string
	Operation Operation // of the call that a fault hit
	Type      string    // of the callback: its type member
	Callback  int       // ordinal of the callback, as in the ledger
	Recipient string    // digits; empty for batch reports and calls about several recipients
	Status    string    // delivery status that the callback brings
	Code      int
	Attempt   int    // from 1
	Answer    int    // HTTP status given or received; 0 if there was none
	Failure   string // why a callback had no answer
	Fault     FaultKind
	Count     int  // recipients of the batch or the feedback call
	Applied   bool // the call took effect, whatever it was answered
}

// Observe has f called for everything that happens from now on. Calls come from several goroutines, perhaps at once, and the
// simulator waits for them: f must be quick. It may call the simulator.
func (s *Simulator) Observe(f func(Event)) {
	s.mu.Lock()
	defer s.unlock()
	s.observers = append(s.observers, f)
}

// tell keeps e for the observers until unlock.
func (s *Simulator) tell(e Event) {
	if len(s.observers) > 0 {
		e.At = time.Now()
		s.happened = append(s.happened, e)
	}
}

// unlock frees mu and tells the observers what happened under it, so that they may call back.
func (s *Simulator) unlock() {
	happened, observers := s.happened, s.observers
	s.happened = nil
	s.mu.Unlock()
	for _, e := range happened {
		for _, f := range observers {
			f(e)
		}
	}
}
