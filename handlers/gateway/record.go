package gateway

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

	"github.com/dlrloop/dlrloop/batchinfo"
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

const (
	maxObserved      = 1 << 20                // bytes of an answer that is searched for batches
	maxObservedPlain = 4 << 20                // the same, decompressed
	recordPatience   = 100 * time.Millisecond // how long the caller's answer waits for the store
	recordTime       = 10 * time.Second       // how long the store has after that
	maxRecording     = 64                     // answers that are recorded concurrently
	recordWorkers    = 32                     // batches of one answer that are recorded concurrently
	maxRemembered    = 4096                   // batches whose last recorded content is remembered
)

// observe records the batches in Sinch's answer a before the caller gets it. It reads up to maxObserved bytes of the
// body and restores them for the caller. If the body breaks off within these bytes, observe returns an error, so that
// the caller gets a problem instead of half an answer.
func (p *proxiedRequest) observe(a *http.Response) error {
	switch p.operation {
	case metrics.GatewaySend, metrics.GatewayUpdate, metrics.GatewayReplace, metrics.GatewayCancel,
		metrics.GatewayGet, metrics.GatewayList:
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
		unread = fmt.Errorf("the answer of Sinch is larger than %d bytes, the limit for reading batches", maxObserved)
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

// observed holds the batches in one answer of Sinch.
type observed struct {
	plan    string
	infos   []store.BatchInfo // one for each batch
	digests []digest          // of the JSON of each batch
	err     error             // the last reason why batches could not be parsed
	bad     int               // number of batches that could not be parsed
}

// observed parses the batches in body, an answer of Sinch; encoding is its Content-Encoding. unread is nil if body is
// complete. Otherwise observed parses nothing, and the field err of the result is unread.
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

// read calls readBatch for body and id, and adds the batch to o. If readBatch fails, it adds the failure.
func (o *observed) read(body []byte, id string) {
	b, err := readBatch(body, id)
	if err != nil {
		o.fail(err)
		return
	}
	o.infos, o.digests = append(o.infos, batchinfo.Convert(b, store.FromGateway)), append(o.digests, sha256.Sum256(body))
}

func (o *observed) fail(err error) {
	o.err = err
	o.bad++
}

// readBatch parses body, the JSON of a batch as Sinch returns it. If id is not empty, a batch with another id is an
// error. The error contains no part of body.
func readBatch(body []byte, id string) (*sinch.Batch, error) {
	b, err := sinch.ParseBatch(body)
	if err != nil {
		return nil, errors.New("the answer of Sinch is not a JSON object")
	}
	if err := batchinfo.Check(b); err != nil {
		return nil, fmt.Errorf("the answer of Sinch is not a batch: %w", err)
	}
	if id != "" && b.ID != id {
		return nil, errors.New("the answer of Sinch contains another batch than the requested one")
	}
	return b, nil
}

// errEncoding means that a body has a Content-Encoding other than gzip.
var errEncoding = errors.New("the Content-Encoding is not gzip")

// decompressed decodes body according to encoding, its Content-Encoding. It returns an uncompressed body as it is. For
// an encoding other than gzip it returns errEncoding, and for a result of more than limit bytes an *http.MaxBytesError.
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

// recorder records the batches in Sinch's answers. No caller waits longer than recordPatience for that, even if the
// store fails. The semaphore slots limits how many answers are recorded at once.
type recorder struct {
	*Gateway
	slots chan struct{}

	mu           sync.Mutex
	lastRecorded map[store.BatchKey]digest // guarded by mu; the digest last recorded for each batch
}

func newRecorder(g *Gateway) *recorder {
	return &recorder{
		Gateway: g, slots: make(chan struct{}, maxRecording), lastRecorded: make(map[store.BatchKey]digest),
	}
}

// record records the batches of one answer, and counts and logs failures. It blocks until every batch is durable or has
// failed. After recordPatience it returns, and the recording goes on in the background.
func (r *recorder) record(of *observed) {
	if of.err != nil {
		r.metrics.GatewayObserved(of.plan, metrics.ObservedUnreadable, of.bad)
		r.warn(of, "answer of Sinch could not be parsed, its batches are looked up when needed", of.err)
	}
	if r.skipRecorded(of); len(of.infos) == 0 {
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		r.metrics.GatewayObserved(of.plan, metrics.ObservedLost, len(of.infos))
		err := errors.New("too many answers wait for the store")
		r.warn(of, "batches not recorded, they are looked up when needed", err)
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

// recordAll records all batches of one answer. It blocks until every batch is durable or has failed. Batches that
// become durable after late is set are counted as late.
func (r *recorder) recordAll(of *observed, late *atomic.Bool) {
	// The recording goes on after the request has ended. It ends early if the store closes.
	ctx, cancel := context.WithTimeout(context.Background(), recordPatience+recordTime)
	defer cancel()
	var workers errgroup.Group
	workers.SetLimit(recordWorkers)
	at := store.Now()
	for i, info := range of.infos {
		workers.Go(func() error {
			if err := r.recordOne(ctx, store.Arrival{Plan: of.plan, At: at, Entry: info}); err != nil {
				r.metrics.GatewayObserved(of.plan, metrics.ObservedLost, 1)
				return err
			}
			result := metrics.ObservedRecorded
			if late.Load() {
				result = metrics.ObservedLate
			}
			r.metrics.GatewayObserved(of.plan, result, 1)
			r.remember(store.BatchKey{Plan: of.plan, BatchID: info.BatchID}, of.digests[i])
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		r.warn(of, "batches not recorded, they are looked up when needed", err)
	}
}

// recordOne records one batch. It returns a panic of the store as an error, as nothing else would recover it.
func (r *recorder) recordOne(ctx context.Context, a store.Arrival) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return r.store.Record(ctx, a)
}

// skipRecorded removes from the argument the batches whose JSON has not changed since it was last recorded. An
// application may fetch the same batch many times.
func (r *recorder) skipRecorded(of *observed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := 0
	for i, info := range of.infos {
		if r.lastRecorded[store.BatchKey{Plan: of.plan, BatchID: info.BatchID}] != of.digests[i] {
			of.infos[kept], of.digests[kept] = info, of.digests[i]
			kept++
		}
	}
	of.infos, of.digests = of.infos[:kept], of.digests[:kept]
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

// warn logs that batches could not be parsed or recorded, at most once every problem.LogEvery.
func (r *recorder) warn(of *observed, message string, err error) {
	if unlogged, ok := r.sampler.Allow(problem.KindUnavailable); ok {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, message,
			slog.String("plan", of.plan), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}
