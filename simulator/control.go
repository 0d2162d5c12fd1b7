package simulator

import (
	"net/http"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxControl limits the body of a request to a route under /control/, in bytes. A longer body is answered 400.
const maxControl = 1 << 20

// Control returns the handler of the routes under /control/ that inspect and control the simulator. The package
// documentation lists them. The handler does not check credentials, so serve it only on a loopback address.
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control/ledger",
		func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Ledger()) })
	mux.HandleFunc("GET /control/calls",
		func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Calls()) })
	mux.HandleFunc("GET /control/state",
		func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.State()) })
	mux.HandleFunc("GET /control/faults",
		func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.faults.Active()) })
	mux.HandleFunc("POST /control/faults", controlHandler(func(f fault.Fault) (any, error) { return nil, s.SetFault(f) }))
	mux.HandleFunc("DELETE /control/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /control/outcomes",
		controlHandler(func(o outcomeRequest) (any, error) { return nil, s.SetOutcome(o.Number, o.Outcome) }))
	mux.HandleFunc("POST /control/inbound", controlHandler(func(m Inbound) (any, error) {
		id, err := s.Receive(m)
		return map[string]string{"id": id}, err
	}))
	return mux
}

// outcomeRequest is the JSON body of POST /control/outcomes: a phone number, and the outcome of messages to it that are
// not dispatched yet.
type outcomeRequest struct {
	Number string `json:"number"`
	Outcome
}

// controlHandler returns the handler of a control route, which decodes the JSON body of a request and passes it to
// operation. It answers 202 with the result of operation, 204 if the result is nil, or 400 with the error text.
func controlHandler[T any](operation func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var read T
		err := xms.DecodeStrictly(http.MaxBytesReader(w, r.Body, maxControl), &read)
		var result any
		if err == nil {
			result, err = operation(read)
		}
		switch {
		case err != nil:
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		case result == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusAccepted, result)
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(xms.Encode(body)) // fails only if the caller has disconnected
}
