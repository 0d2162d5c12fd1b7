package random

import (
	"encoding/binary"
	"time"

	"github.com/oklog/ulid/v2"
)

// Source makes pseudo-random decisions. A decision depends only on the seed, its purpose and its subject, never on the
// time or on the order of decisions. Pass a purpose that no other kind of decision has.
type Source struct{ seed uint64 }

// New returns the Source for seed. Sources with the same seed make the same decisions.
func New(seed uint64) Source { return Source{seed} }

// Subject identifies what a decision is about. Leave fields that do not apply zero.
type Subject struct {
	Plan      string
	Batch     uint64 // ordinal of the batch in its plan
	Recipient string // digits
	Turn      int    // separates several decisions with the same purpose: a stage, an attempt or a call
}

// Uint64 returns a uniformly distributed number between 0 and 2^64-1 for the decision.
func (s Source) Uint64(purpose string, of Subject) uint64 {
	h := mix(s.seed)
	h = absorb(h, purpose)
	h = absorb(h, of.Plan)
	h = mix(h ^ of.Batch)
	h = absorb(h, of.Recipient)
	return mix(h ^ uint64(of.Turn))
}

// Float64 returns a uniformly distributed number from 0 up to, not including, 1 for the decision.
func (s Source) Float64(purpose string, of Subject) float64 {
	return float64(s.Uint64(purpose, of)>>11) / (1 << 53)
}

// ID returns a ULID with the given time. The purpose and the subject decide its other bits: different ones give
// different ids, and a Source with the same seed gives the same ids.
func (s Source) ID(purpose string, at time.Time, of Subject) string {
	var id ulid.ULID
	var entropy [16]byte
	binary.BigEndian.PutUint64(entropy[:8], s.Uint64(purpose, of))
	binary.BigEndian.PutUint64(entropy[8:], s.Uint64(purpose+" tail", of))
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
