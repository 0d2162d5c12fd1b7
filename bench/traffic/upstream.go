package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
)

// ApplicationPath is the path of the URL at which an Upstream accepts events, in the role of an application.
const ApplicationPath = "/application"

// EventSecret is a secret with which dlrloop can sign the events that it sends to an Upstream. The Upstream does not
// verify the signatures.
const EventSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// Upstream is an HTTP server that imitates both Sinch's API and an application. It returns a batch for any id, and
// accepts all feedback and all events. Create it with NewUpstream.
type Upstream struct {
	http.Server
	URL       string       // base URL of the API
	Wanted    atomic.Bool  // whether batches have feedback enabled; may be set at any time
	Delivered atomic.Int64 // how many events said that a recipient has the status Delivered; may be set at any time
}

// NewUpstream starts an Upstream on a free port of 127.0.0.1. The server runs until the caller calls Close.
func NewUpstream(ctx context.Context) (*Upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{URL: "http://" + l.Addr().String()}
	u.Handler = u
	go func() { _ = u.Serve(l) }() // returns after Close
	return u, nil
}

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == ApplicationPath {
		if body, err := io.ReadAll(r.Body); err == nil { // otherwise dlrloop has ended
			// In the counts of a completed batch, no comma precedes the member.
			u.Delivered.Add(int64(bytes.Count(body, []byte(`,"status":"Delivered"`))))
		}
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/delivery_feedback") {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": path.Base(r.URL.Path), "type": "mt_text", "to": []string{"447700000000"},
		"feedback_enabled": u.Wanted.Load(), "delivery_report": "per_recipient", "canceled": false,
		"created_at": stamp(began), "modified_at": stamp(began),
	})
}
