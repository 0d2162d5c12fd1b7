package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// load describes the requests of one measurement: how many batches are sent, over how many connections, and how many
// recipients each batch has. A connection sends its next batch when the previous one is answered.
type load struct {
	recipients  int // of each batch
	connections int // number of concurrent connections
	sends       int // total number of measured batches, over all connections
}

// times holds the median (p50) and the 99th percentile (p99) of the response times in one round (repetition).
type times struct{ p50, p99 time.Duration }

// compare measures how long the imitated Sinch API takes to accept a batch. In each round, it sends batches directly to
// this API, and then batches through dlrloop's gateway. The results direct and through have one element for each round.
func (w *setup) compare(ctx context.Context, rounds int, l load) (direct, through []times, err error) {
	for range rounds { // both in each round, so that a slow time of the machine affects both
		d, err := drive(ctx, w.direct, l)
		if err != nil {
			return nil, nil, fmt.Errorf("direct: %w", err)
		}
		g, err := drive(ctx, w.gateway, l)
		if err != nil {
			return nil, nil, fmt.Errorf("through the gateway: %w", err)
		}
		w.through += l.sends + l.sends/10
		direct, through = append(direct, d), append(through, g)
	}
	return direct, through, nil
}

// drive sends l.sends batches of messages to the server at origin, such as http://127.0.0.1:8081, and returns
// percentiles of the response times. Before these batches, it sends l.sends/10 batches as a warm-up. Any answer other
// than 201 is an error.
func drive(ctx context.Context, origin string, l load) (times, error) {
	to := make([]string, l.recipients)
	for i := range to {
		to[i] = fmt.Sprintf("44770090%04d", i)
	}
	body, err := json.Marshal(map[string]any{
		"from": "12025550100", "to": to, "body": "Hello", "feedback_enabled": true,
		"delivery_report": "per_recipient_final",
	})
	if err != nil {
		return times{}, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: l.connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var mu sync.Mutex
	var took []time.Duration
	left := l.sends + l.sends/10
	g, ctx := errgroup.WithContext(ctx)
	for range l.connections {
		g.Go(func() error {
			for {
				mu.Lock()
				n := left
				left--
				mu.Unlock()
				if n <= 0 {
					return nil
				}
				begin := time.Now()
				if err := send(ctx, client, origin, body); err != nil {
					return err
				}
				if n <= l.sends {
					mu.Lock()
					took = append(took, time.Since(begin))
					mu.Unlock()
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return times{}, err
	}
	slices.Sort(took)
	return times{took[len(took)/2], took[len(took)*99/100]}, nil
}

func send(ctx context.Context, client *http.Client, origin string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, origin+"/xms/v1/"+plan+"/batches", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusCreated {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
