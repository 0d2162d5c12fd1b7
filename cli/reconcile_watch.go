package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
)

// reconciliation is one run of dlrloop reconcile. It registers batches with a running dlrloop, which then fetches their
// missing reports from Sinch. With --wait the run also waits for these reports.
type reconciliation struct {
	api     *api
	plan    string
	out     io.Writer // progress for a person; discarded with --json
	summary reconcileResult
	waiting []*missingBatch // registered batches with missing reports
	skipped skipped
}

// missingBatch is a batch that dlrloop reconcile registers with a running dlrloop. With --wait the command reads the
// state of the batch again and again until its missing reports are fetched.
type missingBatch struct {
	id            string
	body          []byte     // the registration; nil once it is sent
	scheduled     bool       // Sinch has not sent it yet
	before, after batchState // state at registration, and when it was last read
}

// batchState is the state of a batch, as the private API returns it. Missing is the number of messages without a final
// report. Fetch says when dlrloop fetches the missing reports; it is nil if none is missing.
type batchState struct {
	Missing int                `json:"missing"`
	Counts  map[dlr.Status]int `json:"counts"`
	Fetch   *struct {
		Due      time.Time `json:"due"`
		Attempts int       `json:"attempts"`
		Ended    bool      `json:"ended"`
	} `json:"fetch"`
}

// final returns the number of messages in a final status, such as Delivered or Failed.
func (s batchState) final() int {
	n := 0
	for status, messages := range s.Counts {
		if status.Final() {
			n += messages
		}
	}
	return n
}

// The maximum size of one request that registers batches: the number of batches, and the bytes of their JSON. A command
// with more batches sends several requests. The limits of the server are higher.
const (
	maxRegistration      = 500
	maxRegistrationBytes = 8 << 20
)

// register registers the batches with the running dlrloop and makes it fetch their missing reports. It reads the state
// of each batch before the fetch, so that the reports that the fetch brings can be counted. If it cannot decode a
// batch, or the server would reject the batch, register prints the reason and continues.
func (r *reconciliation) register(ctx context.Context, batches iter.Seq2[*sinch.Batch, error]) error {
	seen, chunk, size := map[string]bool{}, []*missingBatch(nil), 0
	for b, err := range batches {
		if r.skipped.take(err) {
			continue
		}
		if err != nil {
			return advise(err)
		}
		if seen[b.ID] {
			continue
		}
		seen[b.ID] = true
		body, err := registrationOf(b)
		if err != nil {
			r.skipped.add(fmt.Errorf("batch %s: %w", b.ID, err))
			continue
		}
		if len(chunk) == maxRegistration || len(chunk) > 0 && size+len(body) > maxRegistrationBytes {
			if err := r.registerChunk(ctx, chunk); err != nil {
				return err
			}
			chunk, size = nil, 0
		}
		chunk, size = append(chunk, &missingBatch{
			id: b.ID, body: body,
			scheduled: b.SendAt.After(time.Now()),
		}), size+len(body)
	}
	r.summary.Skipped = r.skipped.count
	return r.registerChunk(ctx, chunk)
}

// registrationOf returns the JSON that registers a batch with dlrloop. It returns an error for a batch that the server
// would reject, because the server would then reject all batches of the request.
func registrationOf(b *sinch.Batch) ([]byte, error) {
	if len(b.To) == 0 && b.CreatedAt.IsZero() {
		return nil, errors.New("the batch has neither to nor created_at")
	}
	body, err := stripped(b).MarshalJSON()
	if err == nil && len(body) > maxRegistrationBytes/2 {
		err = fmt.Errorf("the batch has more than %d MiB of recipients", maxRegistrationBytes>>21)
	}
	return body, err
}

// stripped returns a copy of a batch without its body and its parameters. They can be megabytes, and dlrloop does not
// store them. The copy shares the slice To.
func stripped(b *sinch.Batch) *sinch.Batch {
	return &sinch.Batch{
		ID: b.ID, Type: b.Type, To: b.To, DeliveryReport: b.DeliveryReport, SendAt: b.SendAt, ExpireAt: b.ExpireAt,
		CallbackURL: b.CallbackURL, ClientReference: b.ClientReference, FeedbackEnabled: b.FeedbackEnabled,
		Canceled:  b.Canceled,
		CreatedAt: b.CreatedAt, ModifiedAt: b.ModifiedAt,
	}
}

func (r *reconciliation) registerChunk(ctx context.Context, chunk []*missingBatch) error {
	if len(chunk) == 0 {
		return nil
	}
	if err := r.post(ctx, "", chunk); err != nil {
		return err
	}
	r.summary.Batches += len(chunk)
	if err := r.readStates(ctx, chunk, func(b *missingBatch) *batchState { return &b.before }); err != nil {
		return err
	}
	chunk = slices.DeleteFunc(chunk, func(b *missingBatch) bool { return b.scheduled || b.before.Fetch == nil })
	if len(chunk) == 0 {
		return nil
	}
	for _, b := range chunk {
		r.summary.Missing += b.before.Missing
	}
	r.summary.MissingBatches += len(chunk)
	if err := r.post(ctx, "?check=now", chunk); err != nil {
		return err
	}
	for _, b := range chunk {
		b.body = nil
	}
	r.waiting = append(r.waiting, chunk...)
	return nil
}

func (r *reconciliation) post(ctx context.Context, query string, chunk []*missingBatch) error {
	var lines bytes.Buffer
	for _, b := range chunk {
		lines.Write(b.body)
		lines.WriteByte('\n')
	}
	var kept struct {
		Registered int `json:"registered"`
	}
	path := escaped("api", "v1", "plans", r.plan, "batches") + query
	return r.api.call(ctx, http.MethodPost, path, "application/x-ndjson", lines.Bytes(), &kept)
}

// readStates reads the state of each batch from the private API and stores it. The function target returns the field of
// a batch in which to store its state. readStates makes up to apiParallel calls at the same time, and returns the first
// error.
func (r *reconciliation) readStates(ctx context.Context, batches []*missingBatch,
	target func(*missingBatch) *batchState,
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(apiParallel)
	for _, b := range batches {
		group.Go(func() error {
			var s batchState
			if err := r.api.get(ctx, escaped("api", "v1", "plans", r.plan, "batches", b.id), &s); err != nil {
				return err
			}
			*target(b) = s
			return nil
		})
	}
	return group.Wait()
}

var errStopped = errors.New("stopped waiting; the batches stay registered, and dlrloop continues in the background")

// wait blocks until dlrloop has fetched the missing reports of all batches, or until the timeout, and returns nil in
// both cases. It returns errStopped if ctx ends first, or the error of an API call.
func (r *reconciliation) wait(ctx context.Context, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	left := slices.Clone(r.waiting)
	for {
		err := r.readStates(ctx, left, func(b *missingBatch) *batchState { return &b.after })
		if ctx.Err() != nil {
			return errStopped
		}
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(b *missingBatch) bool {
			done := b.finished(deadline)
			if done {
				fmt.Fprintf(r.out, "%s: %s found, %d still missing\n", printable(b.id), count(b.found(), "report"), b.after.Missing)
			}
			return done
		})
		// The pause grows with the number of batches, because each round reads all of them.
		pause := min(time.Second+time.Duration(len(left))*5*time.Millisecond, time.Until(deadline))
		if len(left) == 0 || pause <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return errStopped
		case <-time.After(pause):
		}
	}
	r.summary.waitResult = r.sum(deadline)
	return nil
}

func (r *reconciliation) sum(deadline time.Time) *waitResult {
	w := &waitResult{StillMissingBatches: []string{}}
	for _, b := range r.waiting {
		w.Found += b.found()
		if b.after.Fetch != nil {
			w.StillMissing += b.after.Missing
			w.StillMissingBatches = append(w.StillMissingBatches, b.id)
		}
		if !b.finished(deadline) {
			w.NotFetched++
		}
	}
	return w
}

// found returns the number of messages that reached a final status since the batch was registered.
func (b *missingBatch) found() int { return max(b.after.final()-b.before.final(), 0) }

// finished reports whether to stop waiting for the batch: no report is missing, dlrloop has fetched the reports or
// given up, or it will fetch them only after the deadline.
func (b *missingBatch) finished(deadline time.Time) bool {
	c := b.after.Fetch
	return c == nil || c.Ended || c.Attempts > 0 || c.Due.After(deadline)
}
