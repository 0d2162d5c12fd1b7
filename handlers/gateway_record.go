package handlers

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

const (
	maxObserved      = 1 << 20                // bytes of an answer that is read for batches
	maxObservedPlain = 4 << 20                // the same, decompressed
	recordPatience   = 100 * time.Millisecond // how long a caller waits for the store
	recordTime       = 10 * time.Second       // how long the store has after that
	maxRecording     = 64                     // answers being recorded at the same time
	recordWorkers    = 32                     // batches of one answer recorded at the same time: they share the syncs of the store
	maxRemembered    = 4096                   // batches remembered as they were last recorded
)

// observe records the batches of an answer. It reads the answer to its end first, up to maxObserved bytes: an answer that breaks
// off becomes an error, for which the caller gets a problem instead of half an answer.
func (p *proxiedRequest) observe(a *http.Response) error {
	switch p.operation {
	case metrics.GatewaySend, metrics.GatewayUpdate, metrics.GatewayReplace, metrics.GatewayCancel, metrics.GatewayGet, metrics.GatewayList:
	default:
		return nil
	}
	if a.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, maxObserved+1))
	unread := err
	switch {
	case err != nil:
		unread = fmt.Errorf("the answer of Sinch was cut off after %d bytes: %w", len(body), err)
	case len(body) > maxObserved:
		unread = fmt.Errorf("the answer of Sinch is larger than %d bytes, the most that is searched for batches", maxObserved)
	}
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusCreated {
		p.recorder.record(p.observed(a.Header.Get("Content-Encoding"), body, unread))
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	a.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), a.Body), a.Body}
	return nil
}

// lesson is what an answer says of the batches of a plan.
type observed struct {
	plan    string
	facts   []store.Facts
	digests []digest // what each was read from
	err     error    // why some or all could not be read
	bad     int      // how many
}

// lesson reads an answer; unread is why the body is not all of it.
func (p *proxiedRequest) observed(encoding string, body []byte, unread error) *observed {
	o := &observed{plan: p.plan.ID}
	if unread != nil {
		o.fail(unread)
		return o
	}
	plain, err := decompressed(encoding, body, maxObservedPlain)
	if err != nil {
		o.fail(err)
		return o
	}
	if p.operation != metrics.GatewayList {
		o.read(plain, p.batchID)
		return o
	}
	var page struct {
		Batches []json.RawMessage `json:"batches"`
	}
	if err := dlr.UnmarshalExact(plain, &page); err != nil {
		o.fail(errors.New("the answer of Sinch is not a list of batches"))
		return o
	}
	for _, batch := range page.Batches {
		o.read(batch, "")
	}
	return o
}

// read reads a batch; id is the one that was asked for, if one was.
func (o *observed) read(body []byte, id string) {
	b, err := readBatch(body, id)
	if err != nil {
		o.fail(err)
		return
	}
	o.facts, o.digests = append(o.facts, factsOf(b, store.FromGateway)), append(o.digests, sha256.Sum256(body))
}

func (o *observed) fail(err error) {
	o.err = err
	o.bad++
}

// readBatch reads an answer that must be about a batch: the one with this id, where that is not empty. Its error repeats
// nothing of the answer.
func readBatch(body []byte, id string) (*sinch.Batch, error) {
	b, err := sinch.ParseBatch(body)
	switch {
	case err != nil:
		return nil, errors.New("the answer of Sinch is not a JSON object")
	case b.ID == "":
		return nil, errors.New("the batch in Sinch's answer has no id")
	case len(b.ID) > maxBatchID:
		return nil, fmt.Errorf("the id of the batch in Sinch's answer has more than %d bytes", maxBatchID)
	case id != "" && b.ID != id:
		return nil, errors.New("the answer of Sinch is about another batch than the one asked for")
	case len(b.To) == 0 && b.CreatedAt.IsZero():
		return nil, errors.New("the batch in Sinch's answer has neither to nor created_at") // read as a batch, it would want no feedback
	}
	return b, nil
}

// errEncoding means that a body is in a content coding that is not known here.
var errEncoding = errors.New("the Content-Encoding is not gzip")

// decompressed undoes a content coding, up to limit bytes.
func decompressed(encoding string, body []byte, limit int64) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
	default:
		return nil, errEncoding
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("gzip: %w", err)
	case int64(len(plain)) > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return plain, nil
}

// lessons records what was learned. A store that fails never holds an answer up for long.
type recorder struct {
	*Gateway
	slots chan struct{}

	mu           sync.Mutex
	lastRecorded map[store.BatchKey]digest // guarded by mu; what was last recorded
}

func newRecorder(g *Gateway) *recorder {
	return &recorder{Gateway: g, slots: make(chan struct{}, maxRecording), lastRecorded: make(map[store.BatchKey]digest)}
}

// take has a lesson recorded. It returns when that is done or the patience is over; then it goes on.
func (r *recorder) record(of *observed) {
	if of.err != nil {
		r.metrics.GatewayLearned(of.plan, metrics.LearnedUnreadable, of.bad)
		r.warn(of, "answer not understood, its batches are looked up when needed", of.err)
	}
	if r.skipRecorded(of); len(of.facts) == 0 {
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		r.metrics.GatewayLearned(of.plan, metrics.LearnedLost, len(of.facts))
		r.warn(of, "batches not recorded, they are looked up when needed", errors.New("too many wait for the store"))
		return
	}
	var late atomic.Bool
	done := make(chan struct{})
	r.traffic.add()
	go func() {
		defer r.traffic.end()
		defer func() { <-r.slots }()
		defer close(done)
		r.recordAll(of, &late)
	}()
	patience := time.NewTimer(recordPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		late.Store(true)
	}
}

// record makes a lesson durable.
func (r *recorder) recordAll(of *observed, late *atomic.Bool) {
	// It goes on when the request has ended; a store that closes ends it, too.
	ctx, cancel := context.WithTimeout(context.Background(), recordPatience+recordTime)
	defer cancel()
	var workers errgroup.Group
	workers.SetLimit(recordWorkers)
	at := now()
	for i, facts := range of.facts {
		workers.Go(func() error {
			if err := r.recordOne(ctx, store.Arrival{Plan: of.plan, At: at, News: facts}); err != nil {
				r.metrics.GatewayLearned(of.plan, metrics.LearnedLost, 1)
				return err
			}
			result := metrics.LearnedRecorded
			if late.Load() {
				result = metrics.LearnedLate
			}
			r.metrics.GatewayLearned(of.plan, result, 1)
			r.remember(store.BatchKey{Plan: of.plan, BatchID: facts.BatchID}, of.digests[i])
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		r.warn(of, "batches not recorded, they are looked up when needed", err)
	}
}

// recordOne turns a panic of the store into an error: no request is there any more that it could end.
func (r *recorder) recordOne(ctx context.Context, a store.Arrival) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return r.store.Record(ctx, a)
}

// skipRecorded takes out of a lesson what is recorded already in the same words: an application may ask again and again.
func (r *recorder) skipRecorded(of *observed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := 0
	for i, facts := range of.facts {
		if r.lastRecorded[store.BatchKey{Plan: of.plan, BatchID: facts.BatchID}] != of.digests[i] {
			of.facts[kept], of.digests[kept] = facts, of.digests[i]
			kept++
		}
	}
	of.facts, of.digests = of.facts[:kept], of.digests[:kept]
}

func (r *recorder) remember(key store.BatchKey, as digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lastRecorded) >= maxRemembered {
		for any := range r.lastRecorded {
			delete(r.lastRecorded, any)
			break
		}
	}
	r.lastRecorded[key] = as
}

// tell logs what was not learned, once in a while.
func (r *recorder) warn(of *observed, message string, err error) {
	if unlogged, ok := r.sampler.allow(kindUnavailable); ok {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, message, slog.String("plan", of.plan), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}
