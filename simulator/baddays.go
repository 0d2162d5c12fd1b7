package simulator

import (
	"fmt"
	"time"
)

// BadDays sets what share of the recipients, callbacks or calls each kind of bad day befalls. A share of 0 means the default
// named with it, 1 means always, a negative one never. Beside the share, every batch of 16 or more recipients has one
// recipient, chosen by the seed, for each kind that can befall it, so that even a short run shows them all.
type BadDays struct {
	Undelivered float64 // recipients that end other than Delivered; 0 means 0.08
	Repeated    float64 // callbacks sent again although they were acknowledged; 0 means 0.03
	Overtaken   float64 // recipients whose Dispatched is called back after their final status; 0 means 0.03
	Late        float64 // callbacks held back by LateBy; 0 means 0.02
	Lost        float64 // callbacks never sent, while the reports that can be read know; 0 means never
	Plus        float64 // recipient reports that write the number with a plus sign; 0 means 0.05
	Queued      float64 // recipients whose Queued is called back too; 0 means 0.05
	Skipped     float64 // recipients whose Dispatched is never called back; 0 means 0.03

	// Upstream is the share of reads, dry runs and feedback calls that go wrong; 0 means 0.03. Beside it the first two feedback
	// calls for each of the first three batches with feedback enabled show the six ways in turn. What changes a batch or a
	// group goes wrong only by a fault set by hand: what the customer asked for would be lost.
	Upstream float64

	LateBy  time.Duration // 0 means ten times Config.Pace
	Latency time.Duration // how long a slow answer takes; 0 means 750 ms
}

// day is a kind of bad day that befalls one recipient or callback.
type day uint8

const (
	undelivered day = iota
	repeated
	overtaken
	late
	lost
	plus
	queuedToo
	skipped
	dayKinds
)

var dayNames = [dayKinds]string{"undelivered", "repeated", "overtaken", "late", "lost", "plus", "queued", "skipped"}

// sureFrom is the number of recipients from which a batch is sure to see each kind of bad day.
const sureFrom = 16

func (b BadDays) resolve(pace time.Duration) (BadDays, error) {
	for _, s := range []struct {
		name     string
		share    *float64
		fallback float64
	}{
		{"undelivered", &b.Undelivered, 0.08},
		{"repeated", &b.Repeated, 0.03},
		{"overtaken", &b.Overtaken, 0.03},
		{"late", &b.Late, 0.02},
		{"lost", &b.Lost, 0},
		{"plus", &b.Plus, 0.05},
		{"queued", &b.Queued, 0.05},
		{"skipped", &b.Skipped, 0.03},
		{"upstream", &b.Upstream, 0.03},
	} {
		if *s.share > 1 {
			return b, fmt.Errorf("bad days: %s: a share is at most 1, not %v", s.name, *s.share)
		}
		*s.share = max(0, orDefault(*s.share, s.fallback))
	}
	if b.LateBy < 0 || b.Latency < 0 {
		return b, fmt.Errorf("bad days: late by and latency must not be negative")
	}
	b.LateBy = orDefault(b.LateBy, 10*pace)
	b.Latency = orDefault(b.Latency, 750*time.Millisecond)
	return b, nil
}

func (b BadDays) share(d day) float64 {
	return [dayKinds]float64{b.Undelivered, b.Repeated, b.Overtaken, b.Late, b.Lost, b.Plus, b.Queued, b.Skipped}[d]
}

// befalls says whether a day of kind d befalls stage of recipient i of b, or of the whole batch if i is allRecipients.
func (s *Simulator) befalls(d day, b *batch, i int, st stage) bool {
	share := s.config.BadDays.share(d)
	if share == 0 {
		return false
	}
	if b.sure != nil && i != allRecipients && b.sure[d] == int32(i) {
		return true
	}
	return s.dice.share(dayNames[d], b.subject(i, int(st))) < share
}

// ensure chooses, by the seed, the recipients of a larger batch that are sure to see a bad day. Nobody is chosen twice, and
// only recipients that pass through the SMSC are: the others have no Dispatched to be overtaken. It runs before fates are
// drawn by share, so whoever it chooses for anything but undelivered is delivered.
func (s *Simulator) ensure(b *batch) {
	n := len(b.recipients)
	if s.config.Calm || n < sureFrom {
		return
	}
	b.sure = new([dayKinds]int32)
	taken := map[int]bool{}
	for d := range dayKinds {
		i := int(s.dice.roll("sure "+dayNames[d], b.subject(allRecipients, 0)) % uint64(n))
		for taken[i] {
			i = (i + 1) % n
		}
		taken[i] = true
		b.sure[d] = int32(i)
	}
}

// favoured says whether recipient i was chosen for a bad day that needs it to be delivered.
func (b *batch) favoured(i int) bool {
	if b.sure == nil {
		return false
	}
	for d := undelivered + 1; d < dayKinds; d++ {
		if b.sure[d] == int32(i) {
			return true
		}
	}
	return false
}
