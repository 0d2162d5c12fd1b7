package batches

import (
	"context"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/groups"
	"github.com/dlrloop/dlrloop/simulator/inbound"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/schedule"
)

// maxDue limits how many due status changes and dispatches Store.Run executes without unlocking the mutex. If more are
// due, Run unlocks the mutex in between, so that API calls do not wait long.
const maxDue = 512

// Config configures a Store. Feed, Sender, Pace and Speed are required. Anomalies must be a result of
// Anomalies.Resolve, or the zero value for no anomalies.
type Config struct {
	Random    random.Source
	Feed      *ledger.Feed
	Sender    *callbacks.Sender // sends the reports
	Anomalies Anomalies         // as Anomalies.Resolve returns them; the zero Anomalies cause nothing
	Calm      bool              // no anomalies, no varied pace and no varied order
	Pace      time.Duration     // between two status changes of a message, already shortened by Speed
	Speed     float64           // factor by which the waits for send_at and expire_at are shortened
}

// Store holds the batches of all service plans and changes the statuses of their messages while Run runs. Create it
// with New. All methods are safe for concurrent use.
type Store struct {
	config Config

	// mu guards the fields below, the plans, and everything they point to. A Store calls groups, the sender and the feed
	// while it holds mu.
	mu         sync.Mutex
	batches    []*batch
	batchByID  map[batchKey]*batch
	outcomes   map[string]Outcome // planned outcomes by digits
	schedule   *schedule.Queue[work]
	recipients int // of all batches
	unsettled  int // pending status changes and dispatches
}

// work is an element of the schedule: a status change of one message, or the dispatch of a batch. For a status change,
// dispatchVersion is 0. For a dispatch, dispatchVersion is that of the batch when the dispatch was scheduled; Run
// ignores the dispatch if the batch has another version when the dispatch is due.
type work struct {
	batch           *batch
	recipient       int32 // index in the batch
	stage           stage // new stage of the message
	dispatchVersion uint64
}

type batchKey struct{ plan, id string }

// PlanConfig configures a Plan: its id, senders, groups, and where its callbacks and replies go. Groups, Account and
// Inbound are required.
type PlanConfig struct {
	ID            string
	Originators   []string // senders for batches without from; numbers as digits
	SmartEncoding bool     // recipient reports show the encoding
	Groups        *groups.Groups
	Account       *callbacks.Account
	Inbound       *inbound.Plan // of the same plan
}

// Plan answers the API operations on the batches of one service plan. Create it with Store.NewPlan. Most methods return
// the answer as a JSON-encodable value, or an *xms.Error. All methods are safe for concurrent use.
type Plan struct {
	PlanConfig
	store *Store

	// The mutex of store guards the fields below.
	callCounts   map[fault.Operation]int // number of calls without a batch in their path
	lastBatch    uint64                  // ordinal of the last batch
	lastFeedback uint64                  // ordinal of the last batch that had feedback enabled
}

// New returns a Store without plans and batches. It changes statuses only while Run runs.
func New(c Config) *Store {
	return &Store{
		config: c, batchByID: map[batchKey]*batch{}, outcomes: map[string]Outcome{}, schedule: schedule.NewQueue[work](),
	}
}

// NewPlan returns a Plan, without batches, for the service plan that c describes. The ids of plans must differ.
func (s *Store) NewPlan(c PlanConfig) *Plan {
	return &Plan{PlanConfig: c, store: s, callCounts: map[fault.Operation]int{}}
}

// unlock unlocks s.mu and then passes the new entries of Config.Feed to the observers. The order matters, because an
// observer may call methods of the simulator, which lock s.mu again.
func (s *Store) unlock() {
	s.mu.Unlock()
	s.config.Feed.Flush()
}

// Run dispatches batches and changes statuses until ctx ends. A later Run continues with the pending work.
func (s *Store) Run(ctx context.Context) { schedule.Run(ctx, s.schedule, s.runDue) }

// runDue executes up to maxDue dispatches and status changes that are due. It returns how long to wait before the next
// call: 0 if more are due already, an hour if nothing is scheduled.
func (s *Store) runDue(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.unlock()
	for range maxDue {
		w, due, ok := s.schedule.Due(now)
		if !ok {
			break
		}
		if w.dispatchVersion == 0 {
			s.advance(w.batch, int(w.recipient), w.stage, due)
		} else if w.dispatchVersion == w.batch.dispatchVersion {
			s.dispatch(w.batch)
		}
	}
	return s.schedule.Wait(now)
}

// Counts holds the numbers of batches, recipients and callbacks at one moment.
type Counts struct {
	Batches    int
	Recipients int
	Callbacks  callbacks.Counts
	Settled    bool // every message is final, every callback has its result, and no callback will be repeated
}

// Counts returns the present numbers of batches, recipients and callbacks. It copies no batches, so it is cheaper than
// Ledger.
func (s *Store) Counts() Counts {
	s.mu.Lock()
	defer s.unlock()
	sent := s.config.Sender.Counts()
	return Counts{
		Batches: len(s.batches), Recipients: s.recipients, Callbacks: sent,
		Settled: s.unsettled == 0 && sent.Unsettled == 0,
	}
}

// Ledger returns copies of all batches, in the order of sending, and of all callbacks, in the order in which they were
// scheduled. Both lists show the same moment.
func (s *Store) Ledger() ([]ledger.Batch, []ledger.Callback) {
	s.mu.Lock()
	defer s.unlock()
	all := make([]ledger.Batch, 0, len(s.batches))
	for _, b := range s.batches {
		all = append(all, b.ledger())
	}
	return all, s.config.Sender.Ledger()
}
