package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
)

const (
	plan  = "bench-plan"
	token = "bench-token"
)

// setup holds two running servers: one that imitates Sinch's API, and dlrloop, whose gateway forwards requests to the
// imitated API. Call end to stop both servers.
type setup struct {
	upstream *http.Server
	sent     atomic.Int64 // batches that the upstream accepted
	through  int          // batches sent through the gateway

	direct, gateway string // origins
	server          *server.Server
	stop            context.CancelFunc
	ended           chan error
}

func newSetup(ctx context.Context, dir string) (*setup, error) {
	server.Tune(config.Default()) // like `dlrloop serve`
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &setup{direct: "http://" + l.Addr().String(), ended: make(chan error, 1)}
	w.upstream = &http.Server{Handler: http.HandlerFunc(w.send), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = w.upstream.Serve(l) }() // until it is closed

	c := config.Default()
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = dir
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = plan, w.direct, token
	p.Webhook.Auth.HMAC.Secrets = []config.Secret{"bench-secret"}
	c.Plans = []config.Plan{p}
	if w.server, err = server.Start(ctx, c,
		server.Options{Version: "bench", Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, errors.Join(err, w.upstream.Close())
	}
	w.gateway = "http://" + w.server.PrivateAddr().String()
	ctx, w.stop = context.WithCancel(ctx)
	go func() { w.ended <- w.server.Run(ctx) }()
	return w, nil
}

// send is the HTTP handler of the imitated Sinch API. It accepts every batch and answers 201 with the batch from the
// request, to which it adds an id and times. It answers 400 if the request is not a JSON object.
func (w *setup) send(answer http.ResponseWriter, r *http.Request) {
	var batch map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	now, _ := json.Marshal(time.Now().UTC())
	batch["id"], _ = json.Marshal(fmt.Sprintf("batch-%08d", w.sent.Add(1)))
	batch["created_at"], batch["modified_at"] = now, now
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(answer).Encode(batch)
}

func (w *setup) end() error {
	w.stop()
	return errors.Join(<-w.ended, w.upstream.Close())
}

// verify blocks until dlrloop has recorded exactly as many batches as were sent through its gateway. It checks this
// once a second. If the numbers still differ at the 60th check, verify returns an error that contains both numbers.
func (w *setup) verify(ctx context.Context) (err error) {
	for range 60 {
		if err = w.verifyOnce(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return err
}

func (w *setup) verifyOnce(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.gateway+"/api/v1/stats", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var stats struct{ Plans []struct{ Batches int } }
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &stats); err != nil {
		return fmt.Errorf("%w: %.200s", err, body)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("stats: %s: %.200s", answer.Status, body)
	}
	if len(stats.Plans) != 1 || stats.Plans[0].Batches != w.through {
		return fmt.Errorf("%d batches were sent through the gateway, but dlrloop recorded %+v", w.through, stats.Plans)
	}
	return nil
}
