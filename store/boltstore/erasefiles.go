package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

const (
	// scrubBytes is how many bytes of free pages one transaction overwrites.
	scrubBytes = 4 << 20
	// scrubPause is the shortest pause between two such transactions. A read that began before a page was freed keeps
	// bbolt from using the page. While only such pages are left, the pause grows up to maxScrubPause, and a transaction
	// uses at most probePages pages, so that the file hardly grows.
	scrubPause    = 5 * time.Millisecond
	maxScrubPause = 200 * time.Millisecond
	probePages    = 16
)

// scrubJournal overwrites the folded frames of the journal with zeros.
func (s *Store) scrubJournal(ctx context.Context) error {
	return s.commitError(s.journal.Scrub(ctx, func() error { return s.committer.Record(ctx, recorded{}) }))
}

// scrubDatabase overwrites all pages of the database that are free when it is called. bbolt cannot do that itself: it
// writes only pages that it uses, and then whole. So each transaction takes free pages into use, for rows of zeros in
// BucketScrub, until none of the pages is left. The bucket is then deleted in steps. Meanwhile the fold uses the other
// free pages, and the file hardly grows. If ctx ends, the bucket stays, so that the next call continues; the next
// retention or start deletes it.
func (s *Store) scrubDatabase(ctx context.Context) error {
	file, err := os.Open(s.db.Path())
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // opened only for reading
	sc := &scrubber{pages: pageFile{file, int64(s.db.Info().PageSize)}}
	for ended := false; !ended; {
		begun := time.Now()
		err := s.write(func(c *writeTx) error {
			ended, err = sc.step(c)
			return err
		})
		if err == nil {
			err = pause(ctx, max(sc.pause, time.Since(begun)))
		}
		if err != nil {
			return err
		}
	}
	return s.dropScrub(ctx)
}

// scrubber takes the free pages of the database into use until each of those that were free at its first step has been
// overwritten.
type scrubber struct {
	pages pageFile
	begun bool
	left  pageSet // pages that were free at every step so far
	tail  uint64  // the first page behind all that an interrupted commit has written at the end of the file
	// The latest step began with so many pages to overwrite. used is set if it has used all free pages that bbolt does not
	// keep for reads. pause is how long to wait before the next step.
	before int
	used   bool
	pause  time.Duration
}

// step overwrites up to scrubBytes of free pages. ended is true if nothing is left to overwrite.
func (sc *scrubber) step(c *writeTx) (ended bool, err error) {
	free, err := sc.pages.free(uint64(c.tx.ID()) - 1)
	if err != nil {
		return false, err
	}
	if !sc.begun {
		if sc.tail, err = sc.pages.tail(free.pages); err != nil {
			return false, err
		}
		sc.left, sc.begun = free.set, true
	}
	sc.left.and(free.set)
	left, tail := sc.left.count(), int(max(sc.tail, free.pages)-free.pages)
	if left+tail == 0 {
		return true, nil
	}
	if tail > 0 {
		free.spans[tail]++
	}
	room, kept := int(scrubBytes/sc.pages.size), sc.used && left+tail >= sc.before
	if sc.pause = min(2*sc.pause, maxScrubPause); kept {
		room = min(room, probePages)
	} else {
		sc.pause = scrubPause
	}
	scrub, err := c.tx.CreateBucketIfNotExists(schema.BucketScrub)
	if err != nil {
		return false, err
	}
	// The spans include what bbolt keeps for reads, so during a read it may not find a long one.
	longest := room
	if c.s.db.Stats().OpenTxN > 0 {
		longest = min(longest, probePages)
	}
	lengths, all := pieces(free.spans, longest, room)
	for _, pages := range lengths {
		if err := fill(scrub, pages*int(sc.pages.size)); err != nil {
			return false, err
		}
	}
	sc.before, sc.used = left+tail, all || kept
	return false, nil
}

// pieces returns the lengths, in pages, of the pieces in which to use free spans. It begins with the shortest span, so
// that a long one is left for bbolt's list of free pages. spans maps the length of a span in pages to the number of
// such spans. A piece has at most longest pages, and all together at most room; all is true if that is enough for all
// spans.
func pieces(spans map[int]int, longest, room int) (pieces []int, all bool) {
	for _, length := range slices.Sorted(maps.Keys(spans)) {
		for range spans[length] {
			for left := length; left > 0; {
				piece := min(left, longest)
				if piece > room {
					return pieces, false
				}
				pieces = append(pieces, piece)
				left, room = left-piece, room-piece
			}
		}
	}
	return pieces, true
}

// fill adds a bucket with one row of zeros to the bucket scrub. bbolt stores it in consecutive pages of the given size
// in bytes, which it takes from a free span of the same size if there is one.
func fill(scrub *bolt.Bucket, size int) error {
	next, err := scrub.NextSequence()
	if err != nil {
		return err
	}
	scrub.FillPercent = 0.9 // keys only rise
	b, err := scrub.CreateBucket(binary.BigEndian.AppendUint64(nil, next))
	if err != nil {
		return err
	}
	return b.Put([]byte{0}, make([]byte, size-pageHeader-pageElement-1))
}

// dropUnfinished deletes BucketScrub if a call of Erase has left it and no other call is running.
func (s *Store) dropUnfinished(ctx context.Context) error {
	select {
	case s.erasing <- struct{}{}:
		defer func() { <-s.erasing }()
		return s.dropScrub(ctx)
	default:
		return nil
	}
}

// dropScrub deletes BucketScrub, in transactions of bounded size.
func (s *Store) dropScrub(ctx context.Context) error {
	for {
		exists := false
		err := guarded(func() error {
			return s.db.View(func(tx *bolt.Tx) error {
				exists = tx.Bucket(schema.BucketScrub) != nil
				return nil
			})
		})
		if err != nil || !exists {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.write(func(c *writeTx) error { return dropSome(c.tx) }); err != nil {
			return err
		}
	}
}

// dropSome deletes up to retentionStep buckets from BucketScrub, and the bucket itself with the last of them.
func dropSome(tx *bolt.Tx) error {
	scrub := tx.Bucket(schema.BucketScrub)
	var keys [][]byte
	c := scrub.Cursor()
	key, _ := c.First()
	for ; key != nil && len(keys) < retentionStep; key, _ = c.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	if key == nil {
		return tx.DeleteBucket(schema.BucketScrub)
	}
	for _, key := range keys {
		if err := scrub.DeleteBucket(key); err != nil {
			return err
		}
	}
	return nil
}
