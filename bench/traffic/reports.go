// Package traffic stands for Sinch in the bench: its delivery reports as signed callbacks, and its API.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// Secret signs the callbacks.
	Secret = "bench-secret"
	// Recipients is how many each batch has.
	Recipients = 1000
)

// Status is what a report says of a recipient.
type Status uint8

// The statuses, and how many there are.
const (
	Dispatched Status = iota
	Delivered
	Statuses
)

func (s Status) String() string { return [...]string{"Dispatched", "Delivered"}[s] }

// The shapes of Sinch's reports, as captured: their members come in different orders.
const (
	dispatchedBody = `{"type":"recipient_delivery_report_sms","batch_id":"%s","recipient":"%s","code":401,"status":"Dispatched","at":"%s","client_reference":"otp/%04x"}`
	deliveredBody  = `{"at":"%s","batch_id":"%s","client_reference":"otp/%04x","code":0,"operator_status_at":"%s","recipient":"%s","status":"Delivered","type":"recipient_delivery_report_sms"}`
	fullBody       = `{"batch_id":"%s","client_reference":"otp/%04x","statuses":[{"code":0,"count":%d,"recipients":[%s],"status":"Delivered"},` +
		`{"code":402,"count":%d,"recipients":[%s],"status":"Failed"}],"total_message_count":%d,"type":"delivery_report_sms"}`
)

// began is when the batches were sent. It is the same in every run, so that every run sends the same bytes.
var began = time.Date(2025, 8, 18, 10, 0, 0, 0, time.UTC)

// SentAt is when a batch was sent, of those that come one after another at this interval.
func SentAt(batch int, apart time.Duration) time.Time { return began.Add(time.Duration(batch) * apart) }

// Report is one report of a recipient, Dispatched or Delivered.
type Report struct {
	Batch, Recipient int
	Status           Status
}

// Body is the report as Sinch would write it.
func (r Report) Body() []byte {
	number := Number(r.Batch*Recipients + r.Recipient)
	at := began.Add(time.Duration(r.Recipient*61+r.Batch*17) * time.Millisecond)
	if r.Status == Dispatched {
		return fmt.Appendf(nil, dispatchedBody, BatchID(r.Batch), number, stamp(at), r.Batch)
	}
	at = at.Add(7661 * time.Millisecond)
	return fmt.Appendf(nil, deliveredBody, stamp(at), BatchID(r.Batch), r.Batch, at.Format("2006-01-02T15:04:00Z"), number)
}

// Planned are all reports of so many batches from the first in the order in which they are sent: each recipient of each
// batch is reported Dispatched and Delivered, and all of that is mixed at random.
func Planned(first, batches int, seed uint64) []Report {
	all := make([]Report, 0, 2*batches*Recipients)
	for b := range batches {
		for r := range Recipients {
			all = append(all, Report{first + b, r, Dispatched}, Report{first + b, r, Delivered})
		}
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// FullFailed is how many recipients of a batch its full report calls Failed; the others are Delivered.
const FullFailed = Recipients / 20

// FullBody is the full report of a batch, which names all its recipients: Number or InOrder says how.
func FullBody(batch int, number func(n int) string) []byte {
	const delivered = Recipients - FullFailed
	return fmt.Appendf(nil, fullBody, BatchID(batch), batch, delivered, quoted(batch, FullFailed, Recipients, number),
		FullFailed, quoted(batch, 0, FullFailed, number), Recipients)
}

// quoted lists the recipients of a batch from one to before another.
func quoted(batch, from, to int, number func(n int) string) []byte {
	list := make([]byte, 0, (to-from)*len(`"447700000000",`))
	for r := from; r < to; r++ {
		if r > from {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, "%q", number(batch*Recipients+r))
	}
	return list
}

// Number is the nth of many numbers, no two of a hundred million the same and neighbours far apart, as the recipients of
// a campaign are.
func Number(n int) string { return fmt.Sprintf("4477%08d", n*61_803_399%100_000_000) }

// InOrder is the nth of other numbers than those of Number, each the one after the last.
func InOrder(n int) string { return fmt.Sprintf("4478%08d", n) }

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// BatchID looks like a ULID.
func BatchID(batch int) string { return fmt.Sprintf("01K2S9A1V5K3C8MEX7RQ%06d", batch) }
