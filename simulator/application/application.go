package application

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/simulator/random"
)

const (
	defaultFaultRate = 0.1
	defaultMaxEvents = 100_000
)

// Config configures an Application. The zero Config is valid: it verifies no signatures, and a tenth of the requests
// fail on purpose.
type Config struct {
	// Secret verifies the signatures of events: whsec_ followed by the key in base64. If empty, they are not verified.
	Secret string
	// CallbackSecret verifies the signatures of Sinch's callbacks: the secret of the service plan, used as text. If
	// empty, they are not verified. If only Secret is set, callbacks of Sinch are refused.
	CallbackSecret string
	// Seed decides which requests fail, and how.
	Seed uint64
	// Calm disables the faults. FaultRate is the probability of a fault per request; 0 means 0.1, negative means never.
	Calm      bool
	FaultRate float64
	// MaxEvents limits how many events are remembered, to recognize repeats; 0 means 100 000. The oldest are forgotten.
	MaxEvents int
	// Observe is called for each event that is accepted for the first time: one call at a time, in the order of
	// acceptance. It must not call methods of the Application. Nil means no calls.
	Observe func(Event)
	// Logger receives one debug line per request to /events. Nil disables logging.
	Logger *slog.Logger
}

// Application receives events from dlrloop over HTTP, in place of a customer's application. Create it with New. All
// methods are safe for concurrent use.
type Application struct {
	config Config
	random random.Source
	key    []byte // decoded from Config.Secret; nil if that is empty

	mu       sync.Mutex // guards the fields below
	mode     Mode
	delay    time.Duration // of the mode Slow
	changed  chan struct{} // closed by the next SetMode
	attempts map[string]int
	ledger   Ledger
	accepted record
}

// New returns an Application in the mode Up, in which it answers requests without a delay. It starts no goroutine and
// no server: serve its Handler. If c is invalid, the error names the field.
func New(c Config) (*Application, error) {
	a := &Application{
		random: random.New(c.Seed), mode: Up, changed: make(chan struct{}), attempts: map[string]int{},
		ledger: newLedger(),
	}
	if c.Secret != "" {
		encoded, found := strings.CutPrefix(c.Secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil || len(key) == 0 {
			return nil, errors.New("application: secret must be whsec_ followed by base64")
		}
		a.key = key
	}
	switch {
	case c.FaultRate > 1 || c.FaultRate != c.FaultRate:
		return nil, fmt.Errorf("application: fault rate must be at most 1, not %v", c.FaultRate)
	case c.MaxEvents < 0:
		return nil, errors.New("application: max events must not be negative")
	case c.Calm || c.FaultRate < 0:
		c.FaultRate = 0
	case c.FaultRate == 0:
		c.FaultRate = defaultFaultRate
	}
	if c.MaxEvents == 0 {
		c.MaxEvents = defaultMaxEvents
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a.config, a.accepted = c, newRecord(c.MaxEvents)
	return a, nil
}

// Handler returns the handler of the routes that the package documentation lists. It does not check credentials on
// /ledger and /control, so serve it only on a loopback address.
func (a *Application) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /events", a.receive)
	mux.HandleFunc("GET /ledger", a.showLedger)
	mux.HandleFunc("GET /control", a.showMode)
	mux.HandleFunc("POST /control", a.changeMode)
	return mux
}
