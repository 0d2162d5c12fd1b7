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

// reconciliation is one run of reconcile.
type reconciliation struct {
	api     *api
	plan    string
	out     io.Writer // for a person who watches
	told    reconciled
	waiting []*lacking
	skipped skipped
}

// lacking is a batch that is registered, and later one of those that lacked reports then.
type lacking struct {
	id            string
	body          []byte // as it was registered
	waits         bool   // it has not left yet
	before, after standing
}

// standing is how a batch stands by the private API.
type standing struct {
	Lacking int                `json:"lacking"`
	Counts  map[dlr.Status]int `json:"counts"`
	Check   *struct {
		Due   time.Time `json:"due"`
		Asked int       `json:"asked"`
		Ended bool      `json:"ended"`
	} `json:"check"`
}

// settled is how many messages have come to their end.
func (s standing) settled() int {
	n := 0
	for status, messages := range s.Counts {
		if status.Final() {
			n += messages
		}
	}
	return n
}

// A registration is bounded by the server, in lines and bytes; these are well below.
const (
	maxRegistration      = 500
	maxRegistrationBytes = 8 << 20
)

// register registers the batches, some at a time, and has dlrloop ask after those that lack reports. That comes after they
// were looked at, so that what it finds at once is not missed in the sum.
func (r *reconciliation) register(ctx context.Context, batches iter.Seq2[*sinch.Batch, error]) error {
	seen, chunk, size := map[string]bool{}, []*lacking(nil), 0
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
		chunk, size = append(chunk, &lacking{id: b.ID, body: body, waits: b.SendAt.After(time.Now())}), size+len(body)
	}
	r.told.Skipped = r.skipped.count
	return r.registerChunk(ctx, chunk)
}

// registrationOf is the body that registers a batch. An error says why the server would refuse it, and with it those that are sent
// along.
func registrationOf(b *sinch.Batch) ([]byte, error) {
	if len(b.To) == 0 && b.CreatedAt.IsZero() {
		return nil, errors.New("it has neither to nor created_at")
	}
	body, err := registered(b).MarshalJSON()
	if err == nil && len(body) > maxRegistrationBytes/2 {
		err = fmt.Errorf("it has more than %d MiB of recipients", maxRegistrationBytes>>21)
	}
	return body, err
}

// registered is what dlrloop keeps of a batch: neither its text nor its parameters, which can be megabytes.
func registered(b *sinch.Batch) *sinch.Batch {
	return &sinch.Batch{
		ID: b.ID, Type: b.Type, To: b.To, DeliveryReport: b.DeliveryReport, SendAt: b.SendAt, ExpireAt: b.ExpireAt,
		CallbackURL: b.CallbackURL, ClientReference: b.ClientReference, FeedbackEnabled: b.FeedbackEnabled, Canceled: b.Canceled,
		CreatedAt: b.CreatedAt, ModifiedAt: b.ModifiedAt,
	}
}

func (r *reconciliation) registerChunk(ctx context.Context, chunk []*lacking) error {
	if len(chunk) == 0 {
		return nil
	}
	if err := r.post(ctx, "", chunk); err != nil {
		return err
	}
	r.told.Batches += len(chunk)
	if err := r.look(ctx, chunk, func(b *lacking) *standing { return &b.before }); err != nil {
		return err
	}
	chunk = slices.DeleteFunc(chunk, func(b *lacking) bool { return b.waits || b.before.Check == nil })
	if len(chunk) == 0 {
		return nil
	}
	for _, b := range chunk {
		r.told.Lacking += b.before.Lacking
	}
	r.told.LackingBatches += len(chunk)
	if err := r.post(ctx, "?check=now", chunk); err != nil {
		return err
	}
	for _, b := range chunk {
		b.body = nil
	}
	r.waiting = append(r.waiting, chunk...)
	return nil
}

func (r *reconciliation) post(ctx context.Context, query string, chunk []*lacking) error {
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

// look reads how each batch stands.
func (r *reconciliation) look(ctx context.Context, batches []*lacking, into func(*lacking) *standing) error {
	lanes, ctx := errgroup.WithContext(ctx)
	lanes.SetLimit(apiLanes)
	for _, b := range batches {
		lanes.Go(func() error {
			var s standing
			if err := r.api.get(ctx, escaped("api", "v1", "plans", r.plan, "batches", b.id), &s); err != nil {
				return err
			}
			*into(b) = s
			return nil
		})
	}
	return lanes.Wait()
}

var errStopped = errors.New("stopped watching; what is registered stays so, and dlrloop goes on by itself")

// watch looks again and again at the batches that lacked reports until Sinch was asked after all of them, or the time is
// over.
func (r *reconciliation) watch(ctx context.Context, patience time.Duration) error {
	over := time.Now().Add(patience)
	left := slices.Clone(r.waiting)
	for {
		err := r.look(ctx, left, func(b *lacking) *standing { return &b.after })
		if ctx.Err() != nil {
			return errStopped
		}
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(b *lacking) bool {
			dealt := b.dealtWith(over)
			if dealt {
				fmt.Fprintf(r.out, "%s: %s found, %d still lacking\n", printable(b.id), count(b.found(), "report"), b.after.Lacking)
			}
			return dealt
		})
		// Reading everything must not take longer than the pause.
		pause := min(time.Second+time.Duration(len(left))*5*time.Millisecond, time.Until(over))
		if len(left) == 0 || pause <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return errStopped
		case <-time.After(pause):
		}
	}
	r.told.watched = r.sum(over)
	return nil
}

func (r *reconciliation) sum(over time.Time) *watched {
	w := &watched{In: []string{}}
	for _, b := range r.waiting {
		w.Found += b.found()
		if b.after.Check != nil {
			w.StillLacking += b.after.Lacking
			w.In = append(w.In, b.id)
		}
		if !b.dealtWith(over) {
			w.NotAsked++
		}
	}
	return w
}

// found is how many messages have come to their end since the batch was registered.
func (b *lacking) found() int { return max(b.after.settled()-b.before.settled(), 0) }

// dealtWith reports whether watching the batch until then can tell no more: it lacks nothing, or Sinch was asked after it
// and is not asked again before.
func (b *lacking) dealtWith(until time.Time) bool {
	c := b.after.Check
	return c == nil || c.Ended || c.Asked > 0 || c.Due.After(until)
}
