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

// observe records the batches in Sinch's answer before the caller gets the answer. It reads up to 1 MiB of the body
// (maxObserved), and then sets a.Body so that the caller still gets all of it. Batches in a larger body are not
// recorded. If reading the body fails, observe returns an error, and the caller must not get the answer.
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
		p.recorder.record(p.readBatches(a.Header.Get("Content-Encoding"), body, unread))
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

// observedBatches holds the batches found in one answer of Sinch, parsed but not recorded yet, and how many could not
// be parsed.
type observedBatches struct {
	plan    string
	infos   []store.BatchInfo // one for each batch
	digests []digest          // of the JSON of each batch
	err     error             // the last reason why batches could not be parsed
	bad     int               // number of batches that could not be parsed
}

// readBatches parses the batches in body, Sinch's answer with the given Content-Encoding. The result is never nil. It
// includes how many batches could not be parsed. If unread is not nil, it is the reason why body is incomplete;
// readBatches then parses nothing, and the result contains unread as its only failure.
func (p *proxiedRequest) readBatches(encoding string, body []byte, unread error) *observedBatches {
	o := &observedBatches{plan: p.plan.ID}
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

// read parses body, the JSON of one batch, and adds the batch to o. If body is not a batch, or not the one with the
// given id, it counts an error instead. An empty id allows any batch.
func (o *observedBatches) read(body []byte, id string) {
	b, err := readBatch(body, id)
	if err != nil {
		o.fail(err)
		return
	}
	o.infos, o.digests = append(o.infos, batchinfo.Convert(b, store.FromGateway)), append(o.digests, sha256.Sum256(body))
}

func (o *observedBatches) fail(err error) {
	o.err = err
	o.bad++
}

// readBatch parses the JSON of a batch as Sinch returns it. It returns an error if body is not a batch, or if id is not
// empty and the batch has another id. The error contains no part of the JSON.
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

// errEncoding is the error of decompressed for a body with another Content-Encoding than gzip.
var errEncoding = errors.New("the Content-Encoding is not gzip")

// decompressed returns the body without its Content-Encoding, which must be gzip or none. It returns errEncoding for
// any other encoding, and an *http.MaxBytesError if the result has more than limit bytes.
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

// recorder stores the batches in Sinch's answers. The caller's answer waits for the store, but no longer than 100 ms
// (recordPatience). While 64 answers (maxRecording) are being recorded, the batches of a further answer are not
// recorded but counted as lost.
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

// record stores the batches of one answer, and counts and logs failures. It blocks until the batches are durable, but
// no longer than 100 ms (recordPatience); after that the recording goes on in the background.
func (r *recorder) record(of *observedBatches) {
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

// recordAll stores all batches of one answer and blocks until each is durable or has failed. It counts each batch in
// the metrics: as "lost" if it failed, as "late" if it became durable after late was set, otherwise as "recorded". The
// method record sets late when it stops waiting for recordAll.
func (r *recorder) recordAll(of *observedBatches, late *atomic.Bool) {
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

// recordOne stores one batch and blocks until it is durable. If the store panics, it returns the panic as an error.
func (r *recorder) recordOne(ctx context.Context, a store.Arrival) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return r.store.Record(ctx, a)
}

// skipRecorded removes the batches whose JSON is the same as when they were last recorded.
func (r *recorder) skipRecorded(of *observedBatches) {
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

// warn logs that batches in one of Sinch's answers could not be parsed or recorded. It logs at most one line every five
// seconds (problem.LogEvery); a line of refuse about an unavailable store counts, too. The attribute unlogged says how
// many lines were left out since the previous line.
func (r *recorder) warn(of *observedBatches, message string, err error) {
	if unlogged, ok := r.sampler.Allow(problem.KindUnavailable); ok {
		r.log.LogAttrs(context.Background(), slog.LevelWarn, message,
			slog.String("plan", of.plan), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}
