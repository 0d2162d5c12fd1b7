package application

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// maxBody limits the body of a request to /events, in bytes. A longer body is answered 413.
const maxBody = 32 << 20

// receive answers a request to /events. It first applies the mode (for example Down), then verifies the request and
// chooses a fault. It accepts the events unless one of these steps prevents that.
func (a *Application) receive(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	a.mu.Lock()
	a.ledger.Requests++
	a.mu.Unlock()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := 0 // the client has disconnected
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		a.answer(w, r, status, "")
		return
	}
	mode, delay, changed := a.currentMode()
	if mode == Slow && !wait(r.Context(), delay, changed) || mode == Down {
		a.answer(w, r, 0, "")
		return
	}
	if mode == Gone {
		a.answer(w, r, http.StatusGone, "")
		return
	}
	events, delivery, status := a.read(r.Header, body, now)
	if status != 0 {
		a.answer(w, r, status, "")
		return
	}
	a.mu.Lock()
	f := a.faultFor(delivery)
	if f == "" || f == LostAnswer {
		a.accept(events)
	}
	a.mu.Unlock()
	f.setHeader(w.Header(), now)
	switch f {
	case "":
		a.answer(w, r, http.StatusNoContent, "")
	case Hang:
		wait(r.Context(), 0, changed)
		a.answer(w, r, 0, f)
	default:
		a.answer(w, r, f.status(), f)
	}
}

func (a *Application) currentMode() (m Mode, delay time.Duration, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mode, a.delay, a.changed
}

// wait blocks until the duration d has passed or SetMode has closed the channel changed, and then returns true. If d is
// 0, only SetMode ends the wait. If ctx ends first, because the client has disconnected, wait returns false.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	var over <-chan time.Time
	if d > 0 {
		over = time.After(d)
	}
	select {
	case <-ctx.Done():
		return false
	case <-over:
	case <-changed:
	}
	return true
}

// read verifies and decodes a request. It returns its events and an id that repetitions of the request share. If the
// request is refused, read counts that and returns the HTTP status to answer; otherwise status is 0.
func (a *Application) read(h http.Header, body []byte, now time.Time) (events []Event, delivery string, status int) {
	delivery = h.Get(headerID)
	var err error
	if delivery != "" {
		if err = a.verifyEvents(h, body, now); err != nil {
			return nil, "", a.refuse(http.StatusUnauthorized, err)
		}
		events, err = decodeEvents(delivery, body)
	} else {
		if err = a.verifySinch(h, body); err != nil {
			return nil, "", a.refuse(http.StatusUnauthorized, err)
		}
		events = make([]Event, 1)
		events[0], err = decodeCallback(body)
		delivery = events[0].ID
	}
	if err != nil {
		return nil, "", a.refuse(http.StatusBadRequest, err)
	}
	return events, delivery, 0
}

// refuse counts a refused request, with err as the reason. It returns status unchanged, for the caller to answer.
func (a *Application) refuse(status int, err error) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if status == http.StatusUnauthorized {
		a.ledger.SignatureFailures++
		a.ledger.addProblem("signature: " + err.Error())
	} else {
		a.ledger.UnknownShapes++
		a.ledger.addProblem("shape: " + err.Error())
	}
	return status
}

// accept counts events in the ledger, each as new or as a repeat, and passes the new ones to Config.Observe. The caller
// must hold a.mu.
func (a *Application) accept(events []Event) {
	l := &a.ledger
	for _, e := range events {
		e.At = time.Now().UTC()
		newest := a.accepted.newest(e)
		if before := a.accepted.find(e.ID); before != nil {
			before.Repeats++
			l.Repeats++
			if e.Version > 0 && e.Version < newest {
				l.RepeatsAfterNewer++
			}
			if before.hash != e.hash {
				l.ChangedRepeats++
				l.addProblem(fmt.Sprintf("repeat: %s %s has other JSON than before", e.Type, e.ID))
			}
			continue
		}
		if e.Version > 0 && e.Version <= newest {
			l.OutOfOrder++
			l.addProblem(fmt.Sprintf("order: batch %s: version %d came after %d", e.Batch, e.Version, newest))
		}
		if a.accepted.add(e) {
			l.Forgotten++
		}
		l.Events++
		l.countType(e.Type)
		if a.config.Observe != nil {
			a.config.Observe(e)
		}
	}
}

// answer counts and logs the answer to a request, then writes status without a body. If status is 0, it closes the
// connection without an answer instead. f is the fault that hit the request, or empty.
func (a *Application) answer(w http.ResponseWriter, r *http.Request, status int, f Fault) {
	counted := "none"
	if status != 0 {
		counted = strconv.Itoa(status)
	}
	a.mu.Lock()
	a.ledger.Answers[counted]++
	a.mu.Unlock()
	a.config.Logger.DebugContext(r.Context(), "delivery answered", slog.String("id", r.Header.Get(headerID)),
		slog.Int("status", status), slog.String("fault", string(f)))
	if status == 0 {
		fault.CloseConnection(w)
		return
	}
	w.WriteHeader(status)
}

// Ledger returns a copy of the ledger. Its field IDs is nil; use Events instead.
func (a *Application) Ledger() Ledger {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.ledger
	l.Mode = a.mode
	l.Answers, l.Faults, l.ByType = maps.Clone(l.Answers), maps.Clone(l.Faults), maps.Clone(l.ByType)
	l.Problems = slices.Clone(l.Problems)
	return l
}

// Events returns copies of the accepted events that are not forgotten (see Config.MaxEvents), each once, in the order
// of their first acceptance.
func (a *Application) Events() []Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted.all()
}

func (a *Application) showLedger(w http.ResponseWriter, r *http.Request) {
	l := a.Ledger()
	if r.URL.Query().Get("events") == "1" {
		l.IDs = []string{}
		for _, e := range a.Events() {
			l.IDs = append(l.IDs, e.ID)
		}
	}
	writeJSON(w, http.StatusOK, l)
}
