package simulator

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxControl bounds the body of a control call.
const maxControl = 1 << 20

// Control is what tests and people steer and look by; see the package documentation for its routes. It asks for no
// credentials: keep it on the loopback interface.
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control/ledger", func(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, s.Ledger()) })
	mux.HandleFunc("GET /control/calls", func(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, s.Calls()) })
	mux.HandleFunc("GET /control/state", func(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, s.State()) })
	mux.HandleFunc("GET /control/faults", func(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, s.placedFaults()) })
	mux.HandleFunc("POST /control/faults", steer(func(f Fault) (any, error) { return nil, s.SetFault(f) }))
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /control/fates", steer(func(f numberedFate) (any, error) { return nil, s.SetFate(f.Number, f.Fate) }))
	mux.HandleFunc("POST /control/inbound", steer(func(m Inbound) (any, error) {
		id, err := s.Receive(m)
		return map[string]string{"id": id}, err
	}))
	return mux
}

// numberedFate is a fate as the control listener reads it.
type numberedFate struct {
	Number string `json:"number"`
	Fate
}

// steer reads a T strictly and does with it. Success is 202 with what do returns, or 204 if that is nil; an error is 400 and says why.
func steer[T any](do func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var read T
		err := decodeStrictly(http.MaxBytesReader(w, r.Body, maxControl), &read)
		var result any
		if err == nil {
			result, err = do(read)
		}
		switch {
		case err != nil:
			show(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		case result == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			show(w, http.StatusAccepted, result)
		}
	}
}

// decodeStrictly reads one JSON value that has no members unknown to into, and nothing after it.
func decodeStrictly(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

func show(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encode(body)) // the caller may be gone
}
