package application

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Mode says how the application treats requests to /events, for example "down": it resets their connections.
type Mode string

// The values of Mode. In the mode Up, requests are handled at once; some of them still fail, unless Config.Calm is set.
const (
	Up   Mode = "up"
	Down Mode = "down" // each connection is reset
	Slow Mode = "slow" // each request waits before it is handled, unless the client gives up before
	Gone Mode = "gone" // each request is answered 410
)

const defaultDelay = 5 * time.Second

// SetMode sets the mode. delay is how long a request waits in the mode Slow; 0 means 5 s, and any other mode requires
// 0. Requests that hang because of a fault are cut off at once, and those that wait in the mode Slow are handled at
// once. SetMode returns an error for an unknown mode or an invalid delay.
func (a *Application) SetMode(m Mode, delay time.Duration) error {
	switch m {
	case Up, Down, Slow, Gone:
	default:
		return fmt.Errorf("application: unknown mode %q; use one of up, down, slow, gone", m)
	}
	if delay < 0 || delay > 0 && m != Slow {
		return fmt.Errorf("application: mode %s: delay must be positive, and only slow has one", m)
	}
	if delay == 0 {
		delay = defaultDelay
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mode, a.delay = m, delay
	close(a.changed)
	a.changed = make(chan struct{})
	return nil
}

// modeJSON is the JSON body of the route /control, in requests and answers: the mode, and how long requests wait in the
// mode Slow.
type modeJSON struct {
	Mode  Mode   `json:"mode"`
	Delay string `json:"delay,omitempty"` // such as 2s
}

func (a *Application) showMode(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	shown := modeJSON{Mode: a.mode}
	if a.mode == Slow {
		shown.Delay = a.delay.String()
	}
	a.mu.Unlock()
	writeJSON(w, http.StatusOK, shown)
}

func (a *Application) changeMode(w http.ResponseWriter, r *http.Request) {
	var read modeJSON
	err := xms.DecodeStrictly(http.MaxBytesReader(w, r.Body, 4096), &read)
	var delay time.Duration
	if err == nil && read.Delay != "" {
		if delay, err = time.ParseDuration(read.Delay); err != nil {
			err = fmt.Errorf("delay: %q is not a duration; example: 2s", read.Delay)
		}
	}
	if err == nil {
		err = a.SetMode(read.Mode, delay)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(xms.Encode(body)) // fails only if the caller has disconnected
}
