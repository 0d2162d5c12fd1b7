package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/commit"
	"github.com/dlrloop/dlrloop/store/journal"
)

// start completes Open: it verifies the database and applies what a crash left in the journal. Then it starts two
// goroutines: one writes the journal, and one (foldLoop) the database.
func (s *Store) start(ctx context.Context) error {
	if info, err := os.Stat(s.db.Path()); err == nil && info.Size() <= s.config.verify {
		if err := s.verify(); err != nil {
			return err
		}
	}
	folded, err := s.load()
	if err != nil {
		return err
	}
	var tail []journal.Ref
	s.journal, tail, err = journal.Open(filepath.Join(s.config.Path, "journal"), folded.InJournal(), s.config.journal())
	if err != nil {
		return err
	}
	if s.config.requireFolded && len(tail) > 0 {
		return errors.Join(fmt.Errorf("open store: %s: %w", s.config.Path, ErrUnfolded), s.journal.Close())
	}
	if err := s.recover(ctx, tail, folded.Within); err != nil {
		return errors.Join(err, s.journal.Close())
	}
	if err := s.dropScrub(ctx); err != nil { // a crash may have interrupted Erase
		return errors.Join(fmt.Errorf("open store: %w", err), s.journal.Close())
	}
	if err := s.journal.Reserve(0); err != nil {
		return errors.Join(err, s.journal.Close())
	}
	s.publish()
	s.folding.Go(s.foldLoop)
	s.committer = commit.New(s.config.Committer, func(r recorded) int { return len(r.encoded) }, s.commit)
	return nil
}

// recover applies the journal frames that a crash left to the database. done says how much of the first frame is
// applied already. Before that, recover finishes repairs that the crash interrupted.
func (s *Store) recover(ctx context.Context, tail []journal.Ref, done schema.Progress) error {
	s.backlog.Resume(tail, done)
	for first := true; ; first = false {
		w, err := s.backlog.Take(s.measured.Room(s.config.StepBytes))
		if err == nil && first {
			err = s.mendAtStart(w)
		}
		if err == nil && len(w.Parts) == 0 {
			return nil
		}
		if err == nil {
			err = errors.Join(ctx.Err(), s.foldMended(w))
		}
		if err != nil {
			return fmt.Errorf("fold the journal: %w", err)
		}
	}
}

// readBack reads a journal frame from disk. It is used for frames that are not applied yet and no longer in memory.
func (s *Store) readBack(p journal.Ref) ([]store.Arrival, error) {
	body, err := s.journal.Read(p)
	if err != nil {
		return nil, err
	}
	return decodeFrame(p, body)
}
