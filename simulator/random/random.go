package random

import (
	"encoding/binary"
	"time"

	"github.com/oklog/ulid/v2"
)

// Source makes pseudo-random decisions. A decision depends only on the seed, the purpose and the Subject, never on time
// or the order of calls. The purpose is a text that names the kind of decision, for example "nonce".
type Source struct{ seed uint64 }

// New returns the Source for seed. Sources with the same seed make the same decisions.
func New(seed uint64) Source { return Source{seed} }

// Subject identifies what a random number is drawn for, such as one recipient of a batch. Fields that do not apply are
// zero.
type Subject struct {
	Plan      string
	Batch     uint64 // ordinal of the batch in its plan
	Recipient string // digits
	Turn      int    // separates several decisions with the same purpose: a stage, an attempt or a call
}

// Uint64 returns a uniformly distributed 64-bit number. Equal arguments give the same number, for the same seed.
func (s Source) Uint64(purpose string, subject Subject) uint64 {
	h := mix(s.seed)
	h = absorb(h, purpose)
	h = absorb(h, subject.Plan)
	h = mix(h ^ subject.Batch)
	h = absorb(h, subject.Recipient)
	return mix(h ^ uint64(subject.Turn))
}

// Float64 returns a number in [0, 1), uniformly distributed. Equal arguments give the same number, for the same seed.
func (s Source) Float64(purpose string, subject Subject) float64 {
	return float64(s.Uint64(purpose, subject)>>11) / (1 << 53)
}

// ID returns a ULID, an id of 26 characters. The first 10 encode the time given by at; the others follow from the seed,
// the purpose and the subject. For the same seed, equal arguments give the same id, and different arguments give
// different ids.
func (s Source) ID(purpose string, at time.Time, subject Subject) string {
	var id ulid.ULID
	var entropy [16]byte
	binary.BigEndian.PutUint64(entropy[:8], s.Uint64(purpose, subject))
	binary.BigEndian.PutUint64(entropy[8:], s.Uint64(purpose+" tail", subject))
	// SetTime fails only after the year 10889, SetEntropy only if the entropy is not ten bytes.
	_ = id.SetTime(ulid.Timestamp(at))
	_ = id.SetEntropy(entropy[:10])
	return id.String()
}

// absorb mixes s and its length into the hash h and returns the result. Because of the length, "ab" then "c" differs
// from "a" then "bc".
func absorb(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h ^ uint64(len(s)))
}

// mix scrambles a hash so that each input bit affects every output bit. It is the finalizer of SplitMix64.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
