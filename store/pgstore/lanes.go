package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// foldBytes is about how many bytes of memory it takes to load, fold and save one recipient.
	foldBytes = 3 << 10
	// mostPart bounds the recipients of a part: its batch is locked for as long as they are folded.
	mostPart = 4000
)

// errSlow means that an arrival belongs in the slow lane, since retention is deleting its batch.
var errSlow = errors.New("the batch is expiring")

// openLanes starts the lanes. Half of a lane's share of the memory is for what waits in it, half for the group that is committed.
func (s *Store) openLanes() {
	half := s.config.Memory / (s.config.Lanes + 1) / 2
	s.part = max(min(half/foldBytes, mostPart), store.MaxRecipients)
	c := store.CommitterConfig{QueueBytes: half, Bytes: half}
	s.lanes = make([]*store.Committer[recorded], s.config.Lanes)
	for i := range s.lanes {
		s.lanes[i] = store.NewCommitter(c, func(r recorded) int { return r.size + r.recipients*foldBytes }, s.commit)
	}
	c.Group = 1
	s.slow = store.NewCommitter(c, func(r recorded) int { return r.size }, s.commitSlow)
}

func (s *Store) closeLanes() {
	for _, lane := range s.lanes {
		lane.Close()
	}
	s.slow.Close()
}

// record has an arrival committed by its lane. What takes many transactions goes to the slow lane, so that nothing small waits
// behind it.
func (s *Store) record(ctx context.Context, r recorded) error {
	if r.recipients <= s.part {
		if err := s.lanes[int(r.slot)%len(s.lanes)].Record(ctx, r); !errors.Is(err, errSlow) {
			return err
		}
	}
	r.slow = true
	return s.slow.Record(ctx, r)
}

// commitSlow commits arrivals one by one, each in as many transactions as it takes. It is the slow lane's.
func (s *Store) commitSlow(group []recorded, results []error) {
	for i := range group {
		results[i] = s.commitParts(&group[i])
	}
}

// commitParts commits an arrival part by part, from where an earlier try or another replica left it. It goes on when the caller
// has gone: what it does is not done again.
func (s *Store) commitParts(r *recorded) error {
	all := max(r.recipients, 1)
	for from := 0; from < all; {
		to := min(from+s.part, all)
		part := *r
		if r.recipients > s.part {
			part.arrival = r.arrival.Part(from, to)
		}
		part.unfinished = to < all
		part.size = r.size / all * (to - from)
		st, err := s.commitGroup([]recorded{part})
		if err != nil {
			return fmt.Errorf("commit recipients %d to %d of %d: %w", from, to, r.recipients, err)
		}
		from = max(to, r.arrival.Folded(st.batches[0].rows.Batch))
	}
	return nil
}

// withoutGone divides the arrivals of a group into those of batches that retention is deleting and the others, by their places.
func withoutGone(group []recorded, gone []entry) (deleted, others []int) {
	expiring := make(map[[2]string]bool, len(gone))
	for _, e := range gone {
		expiring[[2]string{e.plan, e.id}] = true
	}
	for i, r := range group {
		_, quarantined := r.arrival.News.(store.Quarantined)
		if !quarantined && expiring[[2]string{text(r.arrival.Plan), text(r.arrival.News.Batch())}] {
			deleted = append(deleted, i)
			continue
		}
		others = append(others, i)
	}
	return deleted, others
}
