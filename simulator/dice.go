package simulator

import (
	"encoding/binary"
	"time"

	"github.com/oklog/ulid/v2"
)

// dice decides. A roll depends on the seed and on what it is about, never on when or in which order it is asked for.
type dice struct{ seed uint64 }

// subject is what a roll is about. turn tells apart several rolls of one purpose about the same thing: a stage, an attempt, a call.
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

// share is a roll as a fraction: at least 0, less than 1.
func (d dice) share(purpose string, of subject) float64 {
	return float64(d.roll(purpose, of)>>11) / (1 << 53)
}

// id makes a ULID of the given time whose entropy is a roll: unlike any other, yet the same in the next run.
func (d dice) id(purpose string, at time.Time, of subject) string {
	var id ulid.ULID
	var entropy [16]byte
	binary.BigEndian.PutUint64(entropy[:8], d.roll(purpose, of))
	binary.BigEndian.PutUint64(entropy[8:], d.roll(purpose+" tail", of))
	// Neither call can fail before the year 10889, nor with ten bytes.
	_ = id.SetTime(ulid.Timestamp(at))
	_ = id.SetEntropy(entropy[:10])
	return id.String()
}

// absorb is FNV-1a over s and its length, so that neighbouring members of a subject cannot run into each other.
func absorb(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return mix(h ^ uint64(len(s)))
}

// mix is the finaliser of SplitMix64: every bit of its argument sways every bit of its result.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
