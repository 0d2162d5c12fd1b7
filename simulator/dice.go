package simulator

import (
	"encoding/binary"
	"time"

	"github.com/oklog/ulid/v2"
)

// dice makes pseudo-random decisions. A roll depends only on the seed, its purpose and its subject, never on the time
// or on the order of rolls.
type dice struct{ seed uint64 }

// subject identifies what a roll decides about. turn separates several rolls with the same purpose: a stage, an
// attempt or a call.
type subject struct {
	plan      string
	batch     uint64
	recipient string
	turn      int
}

func (d dice) roll(purpose string, of subject) uint64 {
	h := mix(d.seed)
	h = absorb(h, purpose)
	h = absorb(h, of.plan)
	h = mix(h ^ of.batch)
	h = absorb(h, of.recipient)
	return mix(h ^ uint64(of.turn))
}

// fraction returns a roll as a number from 0 up to, not including, 1.
func (d dice) fraction(purpose string, of subject) float64 {
	return float64(d.roll(purpose, of)>>11) / (1 << 53)
}

// id returns a ULID with the given time whose entropy is a roll: unique, and equal in the next run with the same
// seed.
func (d dice) id(purpose string, at time.Time, of subject) string {
	var id ulid.ULID
	var entropy [16]byte
	binary.BigEndian.PutUint64(entropy[:8], d.roll(purpose, of))
	binary.BigEndian.PutUint64(entropy[8:], d.roll(purpose+" tail", of))
	// SetTime fails only after the year 10889, SetEntropy only if the entropy is not ten bytes.
	_ = id.SetTime(ulid.Timestamp(at))
	_ = id.SetEntropy(entropy[:10])
	return id.String()
}

// absorb hashes s and its length into h with FNV-1a. The length keeps adjacent fields of a subject apart.
func absorb(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h ^ uint64(len(s)))
}

// mix is the finaliser of SplitMix64: every input bit affects every output bit.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
