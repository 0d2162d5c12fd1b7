package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	secret = "bench-secret"
	// recipients is how many each batch has.
	recipients = 1000
)

// status is what one report says.
type status uint8

const (
	dispatched status = iota
	delivered
	statuses
)

func (s status) String() string { return [...]string{"Dispatched", "Delivered"}[s] }

// The shapes of Sinch's recipient reports, as captured: their members come in different orders.
const (
	dispatchedBody = `{"type":"recipient_delivery_report_sms","batch_id":"%s","recipient":"%s","code":401,"status":"Dispatched","at":"%s","client_reference":"otp/%04x"}`
	deliveredBody  = `{"at":"%s","batch_id":"%s","client_reference":"otp/%04x","code":0,"operator_status_at":"%s","recipient":"%s","status":"Delivered","type":"recipient_delivery_report_sms"}`
)

// began is when the batches were sent. It is the same in every run, so that every run sends the same bytes.
var began = time.Date(2025, 8, 18, 10, 0, 0, 0, time.UTC)

// report is one delivery report of the run.
type report struct {
	batch, recipient int
	status           status
}

// planned are all reports of a run in the order in which they are sent: each recipient of each batch is reported Dispatched
// and Delivered, and all of that is mixed at random.
func planned(batches int, seed uint64) []report {
	all := make([]report, 0, batches*recipients*int(statuses))
	for b := range batches {
		for r := range recipients {
			all = append(all, report{b, r, dispatched}, report{b, r, delivered})
		}
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// body is the report as Sinch would write it.
func (r report) body() []byte {
	number := number(r.batch*recipients + r.recipient)
	at := began.Add(time.Duration(r.recipient*61+r.batch*17) * time.Millisecond)
	if r.status == dispatched {
		return fmt.Appendf(nil, dispatchedBody, batchID(r.batch), number, stamp(at), r.batch)
	}
	at = at.Add(7661 * time.Millisecond)
	return fmt.Appendf(nil, deliveredBody, stamp(at), batchID(r.batch), r.batch, at.Format("2006-01-02T15:04:00Z"), number)
}

// number is the nth of many numbers, no two of a hundred million the same and neighbours far apart, as the recipients of a
// campaign are.
func number(n int) string { return fmt.Sprintf("4477%08d", n*61_803_399%100_000_000) }

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000Z") }

// batchID looks like a ULID.
func batchID(batch int) string { return fmt.Sprintf("01K2S9A1V5K3C8MEX7RQ%06d", batch) }

// requests are the calls that bring a run's reports, ready to be written to a connection, one after another in one slice.
type requests struct {
	bytes  []byte
	ends   []int
	status []status
}

func newRequests(reports []report) *requests {
	q := &requests{
		bytes:  make([]byte, 0, 704*len(reports)),
		ends:   make([]int, 0, len(reports)),
		status: make([]status, 0, len(reports)),
	}
	mac := hmac.New(sha256.New, []byte(secret))
	for i, r := range reports {
		body := r.body()
		nonce := fmt.Sprintf("01K2S9AHX7ZC3M5V8E%08d", i)
		timestamp := fmt.Sprint(began.Unix())
		mac.Reset()
		fmt.Fprintf(mac, "%s.%s.%s", body, nonce, timestamp)
		q.bytes = fmt.Appendf(q.bytes, "POST /webhooks/%s HTTP/1.1\r\nHost: dlr.example.com\r\nUser-Agent: bench\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n"+
			"x-sinch-webhook-signature: %s\r\nx-sinch-webhook-signature-algorithm: HmacSHA256\r\n"+
			"x-sinch-webhook-signature-nonce: %s\r\nx-sinch-webhook-signature-timestamp: %s\r\n\r\n%s",
			planOf(0), len(body), base64.StdEncoding.EncodeToString(mac.Sum(nil)), nonce, timestamp, body)
		q.ends = append(q.ends, len(q.bytes))
		q.status = append(q.status, r.status)
	}
	return q
}

// planOf is the nth plan. All names are equally long.
func planOf(n int) string { return fmt.Sprintf("bench%03d", n) }

// address has all requests bring reports of a plan.
func (q *requests) address(plan string) {
	for i := range q.len() {
		copy(q.at(i)[len("POST /webhooks/"):], plan)
	}
}

func (q *requests) len() int { return len(q.ends) }

func (q *requests) at(i int) []byte {
	if i == 0 {
		return q.bytes[:q.ends[0]]
	}
	return q.bytes[q.ends[i-1]:q.ends[i]]
}
