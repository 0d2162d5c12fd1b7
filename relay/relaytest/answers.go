package relaytest

import (
	"io"
	"net/http"
	"time"
)

// Respond returns a handler that answers with this status and body. headers are pairs of name and value.
func Respond(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// RespondAfter returns a handler that waits for d and then calls next. If the client disconnects before, it does not
// call next.
func RespondAfter(d time.Duration, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			next(w, r)
		case <-r.Context().Done():
		}
	}
}

// InconclusiveListings holds answers of Sinch to a request for the list of batches. None of them proves that the id and
// the region of the service plan are right. The keys are names for subtests.
var InconclusiveListings = map[string]http.HandlerFunc{
	"empty":       Respond(200, `{"count":0,"page":0,"page_size":0,"batches":[]}`),
	"no list":     Respond(200, `{}`),
	"not JSON":    Respond(200, `ok`),
	"no batch id": Respond(200, `{"count":1,"batches":[{"to":["447700900118"]}]}`),
	"refused":     Respond(400, `{"code":"syntax_invalid_parameter_format"}`),
	"gone":        Respond(410, ""),
}
