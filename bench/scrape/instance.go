package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
)

// instance is a running dlrloop server with the store that function fill has filled. It never calls Sinch, since it has
// no credentials. Call end to stop it.
type instance struct {
	server *server.Server
	stop   context.CancelFunc
	ended  chan error
}

func newInstance(ctx context.Context, path string) (*instance, error) {
	c := config.Default()
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Store.Path = path
	for _, id := range plans {
		p := config.DefaultPlan()
		p.ID, p.BaseURL = id, "http://127.0.0.1:9" // never called
		p.Webhook.Auth.HMAC.Secrets = []config.Secret{"bench-secret"}
		c.Plans = append(c.Plans, p)
	}
	s, err := server.Start(ctx, c, server.Options{Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	h := &instance{server: s, ended: make(chan error, 1)}
	ctx, h.stop = context.WithCancel(ctx)
	go func() { h.ended <- s.Run(ctx) }()
	return h, nil
}

func (h *instance) end() error {
	h.stop()
	return <-h.ended
}

// scraped holds the figures read from one answer of /metrics: its size, and the numbers of pending feedback tasks and
// of messages without a final report.
type scraped struct {
	series, bytes    int
	pending, missing float64 // pending feedback tasks and missing messages of all plans
}

// scrape requests /metrics this number of times, after one request as a warm-up. It returns how long each request took,
// and the figures in the last answer. Any status other than 200 is an error.
func (h *instance) scrape(ctx context.Context, count int) ([]time.Duration, scraped, error) {
	took := make([]time.Duration, 0, count+1)
	var body []byte
	for range count + 1 {
		begun := time.Now()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.server.PrivateAddr().String()+"/metrics",
			nil)
		if err != nil {
			return nil, scraped{}, err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, scraped{}, err
		}
		body, err = io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return nil, scraped{}, err
		}
		if answer.StatusCode != http.StatusOK {
			return nil, scraped{}, fmt.Errorf("/metrics: %s: %.200s", answer.Status, body)
		}
		took = append(took, time.Since(begun))
	}
	return took[1:], read(body), nil
}

// read returns the figures in body, an answer of /metrics: its size, its number of series (lines with a value), the
// pending feedback tasks of all plans, and the messages without a final report.
func read(body []byte) scraped {
	s := scraped{bytes: len(body)}
	for line := range bytes.Lines(body) {
		if bytes.HasPrefix(line, []byte("#")) {
			continue
		}
		s.series++
		fields := bytes.Fields(line)
		value, _ := strconv.ParseFloat(string(fields[len(fields)-1]), 64)
		switch name, labels, _ := bytes.Cut(fields[0], []byte("{")); {
		case string(name) == "dlrloop_messages_missing":
			s.missing += value
		case string(name) == "dlrloop_feedback_tasks" && bytes.Contains(labels, []byte(`state="pending"`)):
			s.pending += value
		}
	}
	return s
}

// verify returns an error unless the metrics show what function fill has stored: for each batch, one pending feedback
// task and 10 messages without a final report.
func (s scraped) verify(batches int) error {
	if s.pending != float64(batches) || s.missing != float64(batches*missing) {
		return fmt.Errorf("the scrape shows %.0f tasks and %.0f missing messages; stored were %d batches,"+
			" each with one and %d", s.pending, s.missing, batches, missing)
	}
	return nil
}
