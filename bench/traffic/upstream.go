package traffic

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
)

// Upstream stands for Sinch's API: it knows every batch, and takes all feedback.
type Upstream struct {
	http.Server
	URL    string
	Wanted atomic.Bool // whether batches want feedback
}

// NewUpstream returns an Upstream that listens on loopback until it is closed.
func NewUpstream(ctx context.Context) (*Upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{URL: "http://" + l.Addr().String()}
	u.Handler = u
	go func() { _ = u.Serve(l) }() // until it is closed
	return u, nil
}

func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
