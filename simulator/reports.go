package simulator

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// recipientReport is the report about one message. Its members are in the order of captured reports.
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

// batchReport is the report about a batch, a summary or a full one.
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

// summarise returns the present batch report of b. It covers the messages that wanted matches and lists their numbers
// if named. The total always counts all messages. Sinch defines no order of statuses: they are sorted by code, and
// reversed for half of the batches unless Calm is set.
func (s *Simulator) summarise(b *batch, named bool, wanted xms.Filter) batchReport {
	r := batchReport{
		BatchID: b.id, ClientReference: b.request.ClientReference, Statuses: []statusCount{},
		Total: len(b.recipients), Type: b.request.ReportType(""),
	}
	type outcome struct {
		code   int
		status string
	}
	rows := map[outcome]int{}
	for i := range b.recipients {
		m := &b.recipients[i]
		status, code := m.status()
		if !wanted.Matches(status, code) {
			continue
		}
		at, ok := rows[outcome{code, status}]
		if !ok {
			at = len(r.Statuses)
			rows[outcome{code, status}] = at
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
	if !s.config.Calm && s.dice.fraction("order", b.subject(allRecipients, 0)) < 0.5 {
		slices.Reverse(r.Statuses)
	}
	return r
}

// reportedNumber returns the number of message i as reports on its final status write it: some have a plus sign.
func (s *Simulator) reportedNumber(b *batch, i int) string {
	if s.occurs(plus, b, i, final) {
		return "+" + b.recipients[i].digits
	}
	return b.recipients[i].digits
}

// currentReport returns the present recipient report on message i of b.
func (s *Simulator) currentReport(b *batch, i int) recipientReport {
	m := &b.recipients[i]
	r := s.baseReport(b, i, m.stage)
	r.At, r.Recipient = xms.Stamp(m.at), s.reportedNumber(b, i)
	if at, ok := m.operatorAt(); ok {
		r.OperatorStatusAt = xms.OperatorTime(at)
	}
	return r
}

// baseReport returns the recipient report on stage st of message i of b without its times.
func (s *Simulator) baseReport(b *batch, i int, st stage) recipientReport {
	m := &b.recipients[i]
	status, code := m.statusAt(st)
	return recipientReport{
		AppliedOriginator: s.originator(b, i), BatchID: b.id, ClientReference: b.request.ClientReference, Code: code,
		Encoding: m.encoding, Parts: m.parts, Recipient: m.digits, Status: status, Type: b.request.ReportType("recipient_"),
	}
}

// originator returns the sender of message i of b if it was chosen from the plan's pool, else "".
func (s *Simulator) originator(b *batch, i int) string {
	if b.request.From != nil || b.waits {
		return ""
	}
	pool := b.plan.originators
	return pool[s.dice.roll("originator", b.subject(i, 0))%uint64(len(pool))]
}

func (s *Simulator) getBatchReport(c *call) (any, error) {
	params := xms.Query(c.Request)
	wanted, err := xms.ReadFilter(params)
	if err != nil {
		return nil, err
	}
	kind := cmp.Or(params.Get("type"), string(xms.ReportSummary))
	if kind != string(xms.ReportSummary) && kind != string(xms.ReportFull) {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	return s.summarise(b, kind == string(xms.ReportFull), wanted), nil
}

func (s *Simulator) getRecipientReport(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	number, _ := xms.Digits(c.PathValue("recipient"))
	i, ok := b.index[number]
	if !ok {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	return s.currentReport(b, int(i)), nil
}
