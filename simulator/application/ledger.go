package application

import (
	"slices"
)

// maxProblems limits how many problems a Ledger keeps; after that, each new problem replaces the oldest. maxTypes
// limits how many different event types a Ledger counts by name; events of any other type count as "other".
const (
	maxProblems = 20
	maxTypes    = 32
)

// Ledger counts what the application has received and answered so far. Tests compare these counts with what dlrloop
// sent.
type Ledger struct {
	Mode     Mode `json:"mode"`
	Requests int  `json:"requests"` // to /events
	// Answers counts the requests by the HTTP status of the answer, or by "none" if the connection was cut.
	Answers map[string]int `json:"answers"`
	// Faults counts the requests that failed on purpose.
	Faults map[Fault]int `json:"faults"`

	Events int            `json:"events"`  // accepted, each counted once
	ByType map[string]int `json:"by_type"` // of Events; types beyond the first 32 count as "other"
	// Repeats counts events that were accepted before. RepeatsAfterNewer counts those of them that came after an event of
	// the same batch with a larger version. ChangedRepeats counts those whose JSON differs from before.
	Repeats           int `json:"repeats"`
	RepeatsAfterNewer int `json:"repeats_after_newer"`
	ChangedRepeats    int `json:"changed_repeats"`
	// OutOfOrder counts events that came for the first time after an event of the same batch with the same or a larger
	// version. dlrloop must never cause one.
	OutOfOrder int `json:"out_of_order"`
	Forgotten  int `json:"forgotten"` // events beyond Config.MaxEvents: a repeat of one counts as a new event

	SignatureFailures int `json:"signature_failures"` // requests answered 401
	UnknownShapes     int `json:"unknown_shapes"`     // requests answered 400
	// Problems describes the last 20 signature failures, unknown shapes, changed repeats and events out of order.
	Problems []string `json:"problems"`

	IDs []string `json:"ids,omitzero"` // of the events that are not forgotten, oldest first; nil unless asked for
}

func newLedger() Ledger {
	return Ledger{
		Answers: map[string]int{}, Faults: map[Fault]int{}, ByType: map[string]int{}, Problems: []string{},
	}
}

func (l *Ledger) addProblem(text string) {
	if len(l.Problems) == maxProblems {
		l.Problems = slices.Delete(l.Problems, 0, 1)
	}
	l.Problems = append(l.Problems, text)
}

func (l *Ledger) countType(name string) {
	if _, known := l.ByType[name]; !known && len(l.ByType) >= maxTypes {
		name = "other"
	}
	l.ByType[name]++
}

// batchKey identifies a batch by its service plan and its id, as the key of a map.
type batchKey struct{ plan, batch string }

// batchOrder holds, for one batch, the largest version of an accepted event. Versions of a batch grow from event to
// event, so a new event with the same or a smaller version came in the wrong order.
type batchOrder struct {
	newest int64 // largest version of an accepted event
	kept   int   // number of events that are not forgotten
}

// record holds the last accepted events, to recognize repeats and events in the wrong order. Once it holds as many
// events as its field limit allows, each new event replaces the oldest. Create a record with newRecord. A record is not
// safe for concurrent use.
type record struct {
	limit   int
	events  []Event // at most limit; event number n is at n % limit
	count   int     // number of events so far, forgotten ones included
	numbers map[string]int
	batches map[batchKey]*batchOrder
}

func newRecord(limit int) record {
	return record{limit: limit, numbers: map[string]int{}, batches: map[batchKey]*batchOrder{}}
}

// find returns the event with this id. It returns nil if no such event was added, or if the record has forgotten it.
// The result points into the record and is valid until the next call of add.
func (r *record) find(id string) *Event {
	n, ok := r.numbers[id]
	if !ok {
		return nil
	}
	return &r.events[n%r.limit]
}

// newest returns the largest version among the recorded events that belong to the same batch as e. It returns 0 if the
// record holds no event of this batch.
func (r *record) newest(e Event) int64 {
	if b := r.batches[batchKey{e.Plan, e.Batch}]; b != nil {
		return b.newest
	}
	return 0
}

// add adds a new event to the record. If the record is full, it forgets the oldest event and returns true.
func (r *record) add(e Event) (forgot bool) {
	if len(r.events) < r.limit {
		r.events = append(r.events, e)
	} else {
		oldest := &r.events[r.count%r.limit]
		r.forget(*oldest)
		*oldest, forgot = e, true
	}
	r.numbers[e.ID] = r.count
	r.count++
	if e.Version > 0 {
		key := batchKey{e.Plan, e.Batch}
		if r.batches[key] == nil {
			r.batches[key] = &batchOrder{}
		}
		b := r.batches[key]
		b.newest = max(b.newest, e.Version)
		b.kept++
	}
	return forgot
}

func (r *record) forget(e Event) {
	delete(r.numbers, e.ID)
	key := batchKey{e.Plan, e.Batch}
	if b := r.batches[key]; b != nil && e.Version > 0 {
		if b.kept--; b.kept == 0 {
			delete(r.batches, key)
		}
	}
}

// all returns a copy of the events that are not forgotten, in the order of their first acceptance.
func (r *record) all() []Event {
	if len(r.events) < r.limit {
		return slices.Clone(r.events)
	}
	oldest := r.count % r.limit
	return append(append(make([]Event, 0, len(r.events)), r.events[oldest:]...), r.events[:oldest]...)
}
