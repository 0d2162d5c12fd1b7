package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
)

// upstream stands for Sinch: it knows every batch, and takes all feedback.
type upstream struct {
	http.Server
	url    string
	wanted atomic.Bool // whether batches want feedback
}

func newUpstream(ctx context.Context) (*upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{url: "http://" + l.Addr().String()}
	u.Handler = u
	go func() { _ = u.Serve(l) }() // until it is closed
	return u, nil
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/delivery_feedback") {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": path.Base(r.URL.Path), "type": "mt_text", "to": []string{"447700000000"},
		"feedback_enabled": u.wanted.Load(), "delivery_report": "per_recipient", "canceled": false,
		"created_at": stamp(began), "modified_at": stamp(began),
	})
}
