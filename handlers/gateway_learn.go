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
	maxLesson      = 1 << 20                // bytes of an answer that is read for batches
	maxLessonPlain = 4 << 20                // the same, decompressed
	lessonPatience = 100 * time.Millisecond // how long a caller waits for the store
	lessonTime     = 10 * time.Second       // how long the store has after that
	maxLessons     = 64                     // answers being recorded at the same time
	lessonLanes    = 32                     // batches of one answer recorded at the same time: they share the syncs of the store
	maxTaught      = 4096                   // batches remembered as they were last recorded
)

// attend records the batches of an answer. It reads the answer to its end first, up to maxLesson bytes: an answer that breaks
// off becomes an error, for which the caller gets a problem instead of half an answer.
func (p *passage) attend(a *http.Response) error {
	switch p.operation {
	case metrics.GatewaySend, metrics.GatewayUpdate, metrics.GatewayReplace, metrics.GatewayCancel, metrics.GatewayGet, metrics.GatewayList:
	default:
		return nil
	}
	if a.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(a.Body, maxLesson+1))
	unread := err
	switch {
	case err != nil:
		unread = fmt.Errorf("the answer of Sinch was cut off after %d bytes: %w", len(body), err)
	case len(body) > maxLesson:
		unread = fmt.Errorf("the answer of Sinch is larger than %d bytes, the most that is searched for batches", maxLesson)
	}
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusCreated {
		p.lessons.take(p.lesson(a.Header.Get("Content-Encoding"), body, unread))
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
type lesson struct {
	plan  string
	facts []store.Facts
	as    []digest // what each was read from
	err   error    // why some or all could not be read
	bad   int      // how many
}

// lesson reads an answer; unread is why the body is not all of it.
func (p *passage) lesson(encoding string, body []byte, unread error) *lesson {
	l := &lesson{plan: p.plan.ID}
	if unread != nil {
		l.fail(unread)
		return l
	}
	plain, err := decompressed(encoding, body, maxLessonPlain)
	if err != nil {
		l.fail(err)
		return l
	}
	if p.operation != metrics.GatewayList {
		l.read(plain, p.batchID)
		return l
	}
	var page struct {
		Batches []json.RawMessage `json:"batches"`
	}
	if err := dlr.UnmarshalExact(plain, &page); err != nil {
		l.fail(errors.New("the answer of Sinch is not a list of batches"))
		return l
	}
	for _, batch := range page.Batches {
		l.read(batch, "")
	}
	return l
}

// read reads a batch; id is the one that was asked for, if one was.
func (l *lesson) read(body []byte, id string) {
	b, err := readBatch(body, id)
	if err != nil {
		l.fail(err)
		return
	}
	l.facts, l.as = append(l.facts, factsOf(b, store.FromGateway)), append(l.as, sha256.Sum256(body))
}

func (l *lesson) fail(err error) {
	l.err = err
	l.bad++
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
type lessons struct {
	*Gateway
	room chan struct{}

	mu     sync.Mutex
	taught map[store.BatchKey]digest // guarded by mu; what was last recorded
}

func newLessons(g *Gateway) *lessons {
	return &lessons{Gateway: g, room: make(chan struct{}, maxLessons), taught: make(map[store.BatchKey]digest)}
}

// take has a lesson recorded. It returns when that is done or the patience is over; then it goes on.
func (l *lessons) take(of *lesson) {
	if of.err != nil {
		l.metrics.GatewayLearned(of.plan, metrics.LearnedUnreadable, of.bad)
		l.tell(of, "answer not understood, its batches are looked up when needed", of.err)
	}
	if l.forgetKnown(of); len(of.facts) == 0 {
		return
	}
	select {
	case l.room <- struct{}{}:
	default:
		l.metrics.GatewayLearned(of.plan, metrics.LearnedLost, len(of.facts))
		l.tell(of, "batches not recorded, they are looked up when needed", errors.New("too many wait for the store"))
		return
	}
	var late atomic.Bool
	done := make(chan struct{})
	l.traffic.add()
	go func() {
		defer l.traffic.end()
		defer func() { <-l.room }()
		defer close(done)
		l.record(of, &late)
	}()
	patience := time.NewTimer(lessonPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		late.Store(true)
	}
}

// record makes a lesson durable.
func (l *lessons) record(of *lesson, late *atomic.Bool) {
	// It goes on when the request has ended; a store that closes ends it, too.
	ctx, cancel := context.WithTimeout(context.Background(), lessonPatience+lessonTime)
	defer cancel()
	var lanes errgroup.Group
	lanes.SetLimit(lessonLanes)
	at := now()
	for i, facts := range of.facts {
		lanes.Go(func() error {
			if err := l.recordOne(ctx, store.Arrival{Plan: of.plan, At: at, News: facts}); err != nil {
				l.metrics.GatewayLearned(of.plan, metrics.LearnedLost, 1)
				return err
			}
			result := metrics.LearnedRecorded
			if late.Load() {
				result = metrics.LearnedLate
			}
			l.metrics.GatewayLearned(of.plan, result, 1)
			l.remember(store.BatchKey{Plan: of.plan, BatchID: facts.BatchID}, of.as[i])
			return nil
		})
	}
	if err := lanes.Wait(); err != nil {
		l.tell(of, "batches not recorded, they are looked up when needed", err)
	}
}

// recordOne turns a panic of the store into an error: no request is there any more that it could end.
func (l *lessons) recordOne(ctx context.Context, a store.Arrival) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	return l.store.Record(ctx, a)
}

// forgetKnown takes out of a lesson what is recorded already in the same words: an application may ask again and again.
func (l *lessons) forgetKnown(of *lesson) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := 0
	for i, facts := range of.facts {
		if l.taught[store.BatchKey{Plan: of.plan, BatchID: facts.BatchID}] != of.as[i] {
			of.facts[kept], of.as[kept] = facts, of.as[i]
			kept++
		}
	}
	of.facts, of.as = of.facts[:kept], of.as[:kept]
}

func (l *lessons) remember(key store.BatchKey, as digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.taught) >= maxTaught {
		for any := range l.taught {
			delete(l.taught, any)
			break
		}
	}
	l.taught[key] = as
}

// tell logs what was not learned, once in a while.
func (l *lessons) tell(of *lesson, message string, err error) {
	if unlogged, ok := l.sparing.log(kindUnavailable); ok {
		l.log.LogAttrs(context.Background(), slog.LevelWarn, message, slog.String("plan", of.plan), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}
