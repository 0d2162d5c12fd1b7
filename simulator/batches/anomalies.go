package batches

import (
	"cmp"
	"fmt"
	"time"
)

// Anomalies sets the probability of each anomaly, an irregularity of a real network. A probability of 0 means the
// default in the comment of the field; a probability below 0 means never. In a batch of 16 or more recipients, each
// enabled anomaly that can occur with the batch's delivery_report hits at least one recipient, so that a short run
// shows them all. Upstream hits API calls, not recipients.
type Anomalies struct {
	Undelivered float64 // recipients whose final status is not Delivered; 0 means 0.08
	Repeated    float64 // callbacks sent again after their acknowledgement; 0 means 0.03
	Overtaken   float64 // recipients whose Dispatched is called back after their final status; 0 means 0.03
	Late        float64 // callbacks delayed by LateBy; 0 means 0.02
	Lost        float64 // callbacks never sent; report reads still return the status; 0 means never
	Plus        float64 // callbacks that write the phone's number with a plus sign; 0 means 0.05
	Queued      float64 // recipients whose Queued status is called back too; 0 means 0.05
	Skipped     float64 // recipients whose Dispatched is never called back; 0 means 0.03

	// Upstream is the probability that a read, a dry run or a feedback call fails; 0 means 0.03. In addition, the
	// first two feedback calls for each of the first three batches with feedback enabled show the six failures in
	// turn. Calls that change a batch or a group fail only if SetFault says so, because the customer's request would
	// be lost.
	Upstream float64

	LateBy  time.Duration // 0 means ten times Config.Pace
	Latency time.Duration // delay of a slow answer; 0 means 750 ms
}

// anomaly identifies an irregularity that affects one recipient or callback, such as a lost callback.
type anomaly uint8

const (
	undelivered anomaly = iota
	repeated
	overtaken
	late
	lost
	plus
	queuedToo
	skipped
	anomalyKinds
)

var anomalyNames = [anomalyKinds]string{
	"undelivered", "repeated", "overtaken", "late", "lost", "plus", "queued", "skipped",
}

// guaranteedFrom is the smallest number of recipients for which the promise of Anomalies holds: each enabled anomaly
// that can occur with the batch's delivery_report hits at least one recipient. In a smaller batch, an anomaly may hit
// no recipient.
const guaranteedFrom = 16

// Resolve returns a copy of a in which fields that are 0 have their defaults and negative probabilities are 0. pace is
// Config.Pace, from which the default of LateBy is computed. Resolve returns an error if a probability is above 1 or a
// duration is negative.
func (a Anomalies) Resolve(pace time.Duration) (Anomalies, error) {
	for _, s := range []struct {
		name        string
		probability *float64
		fallback    float64
	}{
		{"undelivered", &a.Undelivered, 0.08},
		{"repeated", &a.Repeated, 0.03},
		{"overtaken", &a.Overtaken, 0.03},
		{"late", &a.Late, 0.02},
		{"lost", &a.Lost, 0},
		{"plus", &a.Plus, 0.05},
		{"queued", &a.Queued, 0.05},
		{"skipped", &a.Skipped, 0.03},
		{"upstream", &a.Upstream, 0.03},
	} {
		if *s.probability > 1 {
			return a, fmt.Errorf("anomalies: %s: a probability must be at most 1, not %v", s.name, *s.probability)
		}
		*s.probability = max(0, cmp.Or(*s.probability, s.fallback))
	}
	if a.LateBy < 0 || a.Latency < 0 {
		return a, fmt.Errorf("anomalies: late by and latency must not be negative")
	}
	a.LateBy = cmp.Or(a.LateBy, 10*pace)
	a.Latency = cmp.Or(a.Latency, 750*time.Millisecond)
	return a, nil
}

func (a Anomalies) probability(kind anomaly) float64 {
	return [anomalyKinds]float64{
		a.Undelivered, a.Repeated, a.Overtaken, a.Late, a.Lost, a.Plus, a.Queued, a.Skipped,
	}[kind]
}

// occurs reports whether an anomaly of this kind affects the message to recipient i of b when the message reaches stage
// st. If i is wholeBatch, occurs answers for the report on the whole batch instead. The seed decides, so the same
// arguments give the same answer.
func (s *Store) occurs(kind anomaly, b *batch, i int, st stage) bool {
	probability := s.config.Anomalies.probability(kind)
	if probability == 0 {
		return false
	}
	if b.guaranteed != nil && i != wholeBatch && b.guaranteed[kind] == int32(i) {
		return true
	}
	return s.config.Random.Float64(anomalyNames[kind], b.subject(i, int(st))) < probability
}

// chooseGuaranteed selects, by the seed, one recipient of b for each kind of anomaly, and no recipient for two kinds.
// If the anomaly is enabled, occurs then returns true for this recipient. chooseGuaranteed does nothing if Config.Calm
// is set or b has fewer than guaranteedFrom recipients. Call it before plannedOutcome, which uses the selection.
func (s *Store) chooseGuaranteed(b *batch) {
	n := len(b.recipients)
	if s.config.Calm || n < guaranteedFrom {
		return
	}
	b.guaranteed = new([anomalyKinds]int32)
	chosen := map[int]bool{}
	for kind := range anomalyKinds {
		i := int(s.config.Random.Uint64("sure "+anomalyNames[kind], b.subject(wholeBatch, 0)) % uint64(n))
		for chosen[i] {
			i = (i + 1) % n
		}
		chosen[i] = true
		b.guaranteed[kind] = int32(i)
	}
}

// mustBeDelivered reports whether chooseGuaranteed selected recipient i for an anomaly other than undelivered. The
// message to such a recipient must be delivered, because some anomalies occur only in a message that is dispatched.
func (b *batch) mustBeDelivered(i int) bool {
	if b.guaranteed == nil {
		return false
	}
	for kind := undelivered + 1; kind < anomalyKinds; kind++ {
		if b.guaranteed[kind] == int32(i) {
			return true
		}
	}
	return false
}
