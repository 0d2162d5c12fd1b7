package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/commit"
	"github.com/dlrloop/dlrloop/store/fold"
)

// Limits of a transaction that folds one part of a large arrival (applies that part to the state).
const (
	// foldBytes is the approximate memory in bytes to load, fold and save one recipient.
	foldBytes = 3 << 10
	// maxPartSize is the maximum number of recipients in one part of an arrival. The batch stays locked while a part
	// is folded.
	maxPartSize = 4000
)

// errSlow makes the method record pass an arrival on to the slow lane, because retention is deleting its batch.
var errSlow = errors.New("retention is deleting the batch")

// openLanes starts the lanes, the goroutines that commit groups of arrivals. Each lane gets an equal share of
// Config.Memory. Half of the share limits the queued arrivals, the other half limits the group being committed.
func (s *Store) openLanes() {
	half := s.config.Memory / (s.config.Lanes + 1) / 2
	s.maxPart = max(min(half/foldBytes, maxPartSize), store.MaxRecipients)
	c := commit.Config{QueueBytes: half, Bytes: half}
	s.openStreams()
	s.lanes = make([]*commit.Committer[recorded], s.config.Lanes)
	for i := range s.lanes {
		s.lanes[i] = commit.New(c, func(r recorded) int { return r.size + r.arrival.Entry.Names()*foldBytes }, s.commit)
	}
	c.Group = 1
	s.slow = commit.New(c, func(r recorded) int { return r.size }, s.commitSlow)
}

// closeLanes commits all queued arrivals and blocks until every lane has stopped.
func (s *Store) closeLanes() {
	for _, lane := range s.lanes {
		lane.Close()
	}
	s.slow.Close()
}

// record queues an arrival in the lane of its slot (hash partition) and blocks until it is committed or ctx ends. An
// arrival that needs many transactions goes to the slow lane, so that small arrivals do not wait behind it.
func (s *Store) record(ctx context.Context, r recorded) error {
	if r.arrival.Entry.Names() <= s.maxPart {
		if err := s.lanes[int(r.slot)%len(s.lanes)].Record(ctx, r); !errors.Is(err, errSlow) {
			return err
		}
	}
	r.slow = true
	return s.slow.Record(ctx, r)
}

// commitSlow commits the arrivals of a group one after the other, each in as many transactions as it needs, and sets
// results[i] to the error of group[i]. The slow lane calls it.
func (s *Store) commitSlow(group []recorded, results []error) {
	for i := range group {
		results[i] = s.commitParts(&group[i])
		s.deleting.remove(group[i].arrival.Key())
	}
}

// commitParts commits an arrival in parts, one transaction each. It skips parts that an earlier attempt, on any
// replica, has committed. If the caller of Record gives up, commitParts still continues: less then remains to do when
// Sinch repeats the callback.
func (s *Store) commitParts(r *recorded) error {
	names := r.arrival.Entry.Names()
	all := max(names, 1)
	for from := 0; from < all; {
		to := min(from+s.maxPart, all)
		part := *r
		if names > s.maxPart {
			part.arrival = fold.Part(&r.arrival, from, to)
		}
		part.unfinished = to < all
		part.size = r.size / all * (to - from)
		st, err := s.commitGroup([]recorded{part})
		if err != nil {
			return fmt.Errorf("commit recipients %d to %d of %d: %w", from, to, names, err)
		}
		from = max(to, fold.Folded(&r.arrival, st.batches[0].rows.Batch))
	}
	return nil
}

// splitHidden divides the indexes of group: deleted are those of arrivals whose batch is in hidden, others are the
// rest.
func splitHidden(group []recorded, hidden []entry) (deleted, others []int) {
	hiddenKeys := make(map[[2]string]bool, len(hidden))
	for _, e := range hidden {
		hiddenKeys[[2]string{e.plan, e.id}] = true
	}
	for i, r := range group {
		if hiddenKeys[[2]string{escape(r.arrival.Plan), escape(r.arrival.Entry.Batch())}] {
			deleted = append(deleted, i)
			continue
		}
		others = append(others, i)
	}
	return deleted, others
}
