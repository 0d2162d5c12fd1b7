package main

import (
	"fmt"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// requests holds the HTTP requests that the benchmark sends: one signed callback for each report, encoded in advance.
type requests struct {
	bytes  []byte // all requests, one after the other
	ends   []int  // end of each request in bytes
	status []traffic.Status
}

func newRequests(reports []traffic.Report) *requests {
	q := &requests{
		bytes:  make([]byte, 0, 704*len(reports)),
		ends:   make([]int, 0, len(reports)),
		status: make([]traffic.Status, 0, len(reports)),
	}
	signer := traffic.NewSigner()
	for i, r := range reports {
		q.bytes = signer.Append(q.bytes, planOf(0), i, r.Body())
		q.ends = append(q.ends, len(q.bytes))
		q.status = append(q.status, r.Status)
	}
	return q
}

// planOf returns the id of the service plan with this number, from 0 to 999, such as bench007. All ids have the same
// length, so that setPlan can overwrite one with another.
func planOf(n int) string { return fmt.Sprintf("bench%03d", n) }

// setPlan changes the service plan in the URL of every request, in place. plan must be a result of function planOf.
func (q *requests) setPlan(plan string) {
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
