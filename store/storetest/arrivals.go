package storetest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The phone numbers of recipients in the tests, from a range that is reserved for fiction.
const (
	alice = "447700900001"
	bob   = "447700900002"
	carol = "447700900003"
)

const plan = "plan"

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// sec returns the time n seconds after epoch, the start of every test.
func sec(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// number returns a phone number that is different for each n.
func number(n int) string { return fmt.Sprintf("4477%08d", n) }

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = number(i)
	}
	return all
}

func key(id string) store.BatchKey { return store.BatchKey{Plan: plan, BatchID: id} }

func at(when time.Time, plan string, n store.Entry) store.Arrival {
	return store.Arrival{Plan: plan, At: when, Entry: n}
}

// arrives returns an arrival with the entry n in the test plan, the given number of seconds after epoch.
func arrives(second int, n store.Entry) store.Arrival { return at(sec(second), plan, n) }

// parsed returns the report in the JSON body of a callback, with its raw bytes, which a store may parse again.
func parsed(body map[string]any) store.Report {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(fmt.Sprintf("storetest: dlr cannot parse a report:  %s: %v", raw, err))
	}
	return store.Report{Report: c.Report, Raw: raw}
}

// says returns a recipient report with this batch id, phone number, status and code, without a time if when is zero.
func says(id, number string, s dlr.Status, code int, when time.Time) store.Report {
	body := map[string]any{"type": dlr.RecipientSMS, "batch_id": id, "recipient": number, "status": s, "code": code}
	if !when.IsZero() {
		body["at"] = when
	}
	return parsed(body)
}

func delivered(id, number string) store.Report { return says(id, number, dlr.Delivered, 0, epoch) }

// entry is the JSON of one entry in a batch report: the message count and the recipients with one status and code.
type entry struct {
	Status     dlr.Status `json:"status"`
	Code       int        `json:"code"`
	Count      int        `json:"count"`
	Recipients []string   `json:"recipients,omitempty"`
}

// whole returns a batch report with these entries. The sum of their counts becomes its total_message_count.
func whole(id string, entries ...entry) store.Report {
	total := 0
	for _, e := range entries {
		total += e.Count
	}
	return parsed(map[string]any{
		"type": dlr.BatchSMS, "batch_id": id, "total_message_count": total, "statuses": append([]entry{}, entries...),
	})
}

// allDelivered returns a full report, which names all recipients: the ones with these numbers, all Delivered.
func allDelivered(id string, numbers ...string) store.Report {
	return whole(id, entry{Status: dlr.Delivered, Count: len(numbers), Recipients: numbers})
}

// polled returns the report as if dlrloop had fetched it from Sinch.
func polled(r store.Report) store.Report {
	r.Source = store.FromPoll
	return r
}

func withReference(r store.Report, reference string) store.Report {
	var body map[string]any
	if err := json.Unmarshal(r.Raw, &body); err != nil {
		panic(err)
	}
	body["client_reference"] = reference
	return parsed(body)
}

func batchInfo(id string, feedback bool, modified time.Time) store.BatchInfo {
	return store.BatchInfo{
		BatchID: id, FeedbackEnabled: feedback, ReportKind: "per_recipient", ClientReference: "reference of " + id,
		Recipients: 3,
		CreatedAt:  sec(-60), ModifiedAt: modified, SendAt: sec(-30), ExpireAt: sec(3600), Source: store.FromGateway,
	}
}

// forAll returns the application's confirmation for the whole batch.
func forAll(id string) store.Confirmation { return store.Confirmation{BatchID: id, WholeBatch: true} }

// sends returns the info of a batch to n phone numbers, created this many seconds after epoch, which expires 1 h later.
func sends(id string, n, second int) store.BatchInfo {
	return store.BatchInfo{
		BatchID: id, ReportKind: "per_recipient", Recipients: n, CreatedAt: sec(second), ModifiedAt: sec(second),
		ExpireAt: sec(second + 3600), Source: store.FromGateway,
	}
}

func confirms(id string, numbers ...string) store.Confirmation {
	return store.Confirmation{BatchID: id, Recipients: numbers}
}
