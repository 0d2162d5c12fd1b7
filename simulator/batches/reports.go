package batches

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// recipientReport is the JSON of a report on the message to one recipient. Its fields are in the order of reports
// captured from Sinch.
type recipientReport struct {
	AppliedOriginator string        `json:"applied_originator,omitempty"`
	At                xms.Timestamp `json:"at"`
	BatchID           string        `json:"batch_id"`
	ClientReference   *string       `json:"client_reference,omitempty"`
	Code              int           `json:"code"`
	Encoding          string        `json:"encoding,omitempty"`
	Parts             uint16        `json:"number_of_message_parts,omitempty"`
	OperatorStatusAt  string        `json:"operator_status_at,omitempty"`
	Recipient         string        `json:"recipient"`
	Status            string        `json:"status"`
	Type              string        `json:"type"`
}

// batchReport is the JSON of a report on a batch. It counts the messages by status. A full report also lists the phone
// numbers that have each status.
type batchReport struct {
	BatchID         string        `json:"batch_id"`
	ClientReference *string       `json:"client_reference,omitempty"`
	Statuses        []statusCount `json:"statuses"`
	Total           int           `json:"total_message_count"`
	Type            string        `json:"type"`
}

type statusCount struct {
	Code       int      `json:"code"`
	Count      int      `json:"count"`
	Recipients []string `json:"recipients,omitempty"`
	Status     string   `json:"status"`
}

// summarize returns a report on b. Total is the number of all messages. Statuses counts the messages that filter
// selects, by present status and code. If named is true, Statuses also lists the phone numbers. Statuses is sorted by
// code; for half of the batches, the order is reversed unless Config.Calm is set, since Sinch defines no order.
func (s *Store) summarize(b *batch, named bool, filter xms.Filter) batchReport {
	r := batchReport{
		BatchID: b.id, ClientReference: b.request.ClientReference, Statuses: []statusCount{},
		Total: len(b.recipients), Type: b.request.ReportType(""),
	}
	type result struct {
		code   int
		status string
	}
	rows := map[result]int{}
	for i := range b.recipients {
		m := &b.recipients[i]
		status, code := m.status()
		if !filter.Matches(status, code) {
			continue
		}
		at, ok := rows[result{code, status}]
		if !ok {
			at = len(r.Statuses)
			rows[result{code, status}] = at
			r.Statuses = append(r.Statuses, statusCount{Code: code, Status: status})
		}
		row := &r.Statuses[at]
		row.Count++
		if named {
			row.Recipients = append(row.Recipients, s.reportedNumber(b, i))
		}
	}
	slices.SortFunc(r.Statuses, func(x, y statusCount) int {
		return cmp.Or(cmp.Compare(x.Code, y.Code), cmp.Compare(x.Status, y.Status))
	})
	if !s.config.Calm && s.config.Random.Float64("order", b.subject(wholeBatch, 0)) < 0.5 {
		slices.Reverse(r.Statuses)
	}
	return r
}

// reportedNumber returns the phone number of message i of b as a report shows it: digits, with a plus sign in front if
// the seed selects the message for the anomaly "plus".
func (s *Store) reportedNumber(b *batch, i int) string {
	if s.occurs(plus, b, i, final) {
		return "+" + b.recipients[i].digits
	}
	return b.recipients[i].digits
}

// currentReport returns the report on message i of b with its present status. The caller must hold s.mu.
func (s *Store) currentReport(b *batch, i int) recipientReport {
	m := &b.recipients[i]
	r := s.baseReport(b, i, m.stage)
	r.At, r.Recipient = xms.Stamp(m.at), s.reportedNumber(b, i)
	if at, ok := m.operatorAt(); ok {
		r.OperatorStatusAt = xms.OperatorTime(at)
	}
	return r
}

// baseReport returns the report on message i of b at stage st (queued, dispatched or final). It leaves the times in the
// report zero; the caller must set them.
func (s *Store) baseReport(b *batch, i int, st stage) recipientReport {
	m := &b.recipients[i]
	status, code := m.statusAt(st)
	return recipientReport{
		AppliedOriginator: s.originator(b, i), BatchID: b.id, ClientReference: b.request.ClientReference, Code: code,
		Encoding: m.encoding, Parts: m.parts, Recipient: m.digits, Status: status, Type: b.request.ReportType("recipient_"),
	}
}

// originator selects, by the seed, one of the plan's Originators as the sender of message i of b. It returns "" if b
// names a sender itself or is not dispatched yet. If b names no sender, Originators is not empty, because prepare
// checks this.
func (s *Store) originator(b *batch, i int) string {
	if b.request.From != nil || b.waits {
		return ""
	}
	pool := b.plan.Originators
	return pool[s.config.Random.Uint64("originator", b.subject(i, 0))%uint64(len(pool))]
}

// sender returns the sender of message i of b: the field from of the batch or, if that is missing, the one that
// originator selects.
func (s *Store) sender(b *batch, i int) string {
	if b.request.From != nil {
		return *b.request.From
	}
	return s.originator(b, i)
}

// BatchReport returns the report on a batch as a JSON-encodable value: a summary, or the full report with recipients if
// the query has type=full. It returns an *xms.Error if the batch is unknown or the query is invalid.
func (p *Plan) BatchReport(id string, query url.Values, now time.Time) (any, error) {
	filter, err := xms.ReadFilter(query)
	if err != nil {
		return nil, err
	}
	kind := xms.ReportKind(cmp.Or(query.Get("type"), string(xms.ReportSummary)))
	if kind != xms.ReportSummary && kind != xms.ReportFull {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	p.store.mu.Lock()
	defer p.store.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	return p.store.summarize(b, kind == xms.ReportFull, filter), nil
}

// RecipientReport returns the report on the message to one recipient of a batch as a JSON-encodable value. number may
// be written with a plus sign, spaces and dashes. It returns an *xms.Error if the batch is unknown or has no such
// number.
func (p *Plan) RecipientReport(id, number string, now time.Time) (any, error) {
	p.store.mu.Lock()
	defer p.store.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	number, _ = xms.Digits(number)
	i, ok := b.index[number]
	if !ok {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	return p.store.currentReport(b, int(i)), nil
}
