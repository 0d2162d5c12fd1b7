// Package traffic imitates Sinch for the bench: it generates delivery reports as signed callbacks, and serves the
// part of the API that dlrloop calls.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// All generated callbacks are signed with Secret, so dlrloop's configuration must contain this secret. The constant
// Recipients is the number of recipients of every generated batch.
const (
	// Secret is the HMAC secret with which a Signer signs callbacks. Configure it for the plan.
	Secret = "bench-secret"
	// Recipients is the number of recipients of each batch.
	Recipients = 1000
)

// Status is the delivery status of a recipient in a generated report. String returns Sinch's name for it.
type Status uint8

// The statuses of the reports that Planned returns. The last constant, NumStatuses, is the number of statuses, for
// arrays indexed by Status.
const (
	Dispatched Status = iota
	Delivered
	NumStatuses
)

func (s Status) String() string { return [...]string{"Dispatched", "Delivered"}[s] }

// Printf formats of the JSON bodies of callbacks. dispatchedBody and deliveredBody are for a report on one recipient,
// fullBody is for a report on all recipients of a batch. The order of the JSON members varies, as in the bodies that
// Sinch sends.
const (
	dispatchedBody = `{"type":"recipient_delivery_report_sms","batch_id":"%s","recipient":"%s","code":401,` +
		`"status":"Dispatched","at":"%s","client_reference":"otp/%04x"}`
	deliveredBody = `{"at":"%s","batch_id":"%s","client_reference":"otp/%04x","code":0,"operator_status_at":"%s",` +
		`"recipient":"%s","status":"Delivered","type":"recipient_delivery_report_sms"}`
	fullBody = `{"batch_id":"%s","client_reference":"otp/%04x","statuses":[{"code":0,"count":%d,` +
		`"recipients":[%s],"status":"Delivered"},` +
		`{"code":402,"count":%d,"recipients":[%s],"status":"Failed"}],"total_message_count":%d,` +
		`"type":"delivery_report_sms"}`
)

// began is the time at which batch number 0 counts as sent. It is fixed, so that every run generates the same bytes.
var began = time.Date(2025, 8, 18, 10, 0, 0, 0, time.UTC)

// SentAt returns the time at which the batch with this number counts as sent. Batch 0 has a fixed time, the same in
// every run. gap is the time from each batch to the next.
func SentAt(batch int, gap time.Duration) time.Time { return began.Add(time.Duration(batch) * gap) }

// Report describes one report for one recipient. Batch is the number of the batch and Recipient the number of the
// recipient in that batch, both counted from 0.
type Report struct {
	Batch, Recipient int
	Status           Status
}

// Body returns the JSON body of a callback with this report. The Delivered report of a recipient has a time 7.661
// seconds after the Dispatched one.
func (r Report) Body() []byte {
	number := Number(r.Batch*Recipients + r.Recipient)
	at := began.Add(time.Duration(r.Recipient*61+r.Batch*17) * time.Millisecond)
	if r.Status == Dispatched {
		return fmt.Appendf(nil, dispatchedBody, BatchID(r.Batch), number, stamp(at), r.Batch)
	}
	at = at.Add(7661 * time.Millisecond)
	return fmt.Appendf(nil, deliveredBody, stamp(at), BatchID(r.Batch), r.Batch, at.Format("2006-01-02T15:04:00Z"),
		number)
}

// Planned returns all recipient reports of the batches with the numbers first to first+batches-1. Each of the 1000
// recipients of a batch has two reports, Dispatched and Delivered. The order is random, but equal arguments give the
// same order.
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

// FullFailed is the number of recipients with the status Failed in a report of FullBody. The other recipients are
// Delivered.
const FullFailed = Recipients / 20

// FullBody returns the JSON body of a callback with the full report of a batch, which lists all recipients by status.
// number generates the phone number of each recipient: pass function Number or ConsecutiveNumber.
func FullBody(batch int, number func(n int) string) []byte {
	const delivered = Recipients - FullFailed
	return fmt.Appendf(nil, fullBody, BatchID(batch), batch, delivered, quoted(batch, FullFailed, Recipients, number),
		FullFailed, quoted(batch, 0, FullFailed, number), Recipients)
}

// quoted returns the phone numbers of some recipients of a batch as JSON strings, separated by commas. The recipients
// have the indexes begin to end-1, where 0 is the first recipient of the batch. Function number, which generates the
// phone numbers, is Number or ConsecutiveNumber.
func quoted(batch, begin, end int, number func(n int) string) []byte {
	list := make([]byte, 0, (end-begin)*len(`"447700000000",`))
	for r := begin; r < end; r++ {
		if r > begin {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, "%q", number(batch*Recipients+r))
	}
	return list
}

// Number returns the phone number with index n, from 0 to 99 999 999, without a plus sign. Different indexes give
// different phone numbers. Those of consecutive indexes are far apart, like the recipients of a campaign.
func Number(n int) string { return fmt.Sprintf("4477%08d", n*61_803_399%100_000_000) }

// ConsecutiveNumber returns the phone number with index n, from 0 to 99 999 999, without a plus sign. Consecutive
// indexes give consecutive phone numbers. No result of ConsecutiveNumber is also a result of Number.
func ConsecutiveNumber(n int) string { return fmt.Sprintf("4478%08d", n) }

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// BatchID returns the id of the batch with this number, from 0 to 999 999. The id looks like a ULID, as at Sinch.
func BatchID(batch int) string { return fmt.Sprintf("01K2S9A1V5K3C8MEX7RQ%06d", batch) }
