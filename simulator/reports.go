package simulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// recipientReport is the report about one message. Its members are in the order of captured reports.
type recipientReport struct {
	AppliedOriginator string    `json:"applied_originator,omitempty"`
	At                timestamp `json:"at"`
	BatchID           string    `json:"batch_id"`
	ClientReference   *string   `json:"client_reference,omitempty"`
	Code              int       `json:"code"`
	Encoding          string    `json:"encoding,omitempty"`
	Parts             uint16    `json:"number_of_message_parts,omitempty"`
	OperatorStatusAt  string    `json:"operator_status_at,omitempty"`
	Recipient         string    `json:"recipient"`
	Status            string    `json:"status"`
	Type              string    `json:"type"`
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

// summarise returns the present batch report of b. It covers the messages that wanted accepts (nil: all) and lists
// numbers if named. The total always counts all messages. Sinch defines no order of statuses: they are sorted by
// code, and reversed for half of the batches unless Calm is set.
func (s *Simulator) summarise(b *batch, named bool, wanted func(*message) bool) batchReport {
	r := batchReport{
		BatchID: b.id, ClientReference: b.members.ClientReference, Statuses: []statusCount{},
		Total: len(b.recipients), Type: b.reportType(""),
	}
	type outcome struct {
		code   int
		status string
	}
	rows := map[outcome]int{}
	for i := range b.recipients {
		m := &b.recipients[i]
		if wanted != nil && !wanted(m) {
			continue
		}
		status, code := m.status()
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
	r.At, r.Recipient = stamp(m.at), s.reportedNumber(b, i)
	if at, ok := m.operatorAt(); ok {
		r.OperatorStatusAt = at.Format(operatorTime)
	}
	return r
}

// baseReport returns the recipient report on stage st of message i of b without its times.
func (s *Simulator) baseReport(b *batch, i int, st stage) recipientReport {
	m := &b.recipients[i]
	status, code := m.statusAt(st)
	return recipientReport{
		AppliedOriginator: s.originator(b, i), BatchID: b.id, ClientReference: b.members.ClientReference, Code: code,
		Encoding: m.encoding, Parts: m.parts, Recipient: m.digits, Status: status, Type: b.reportType("recipient_"),
	}
}

// originator returns the sender of message i of b if it was chosen from the plan's pool, else "".
func (s *Simulator) originator(b *batch, i int) string {
	if b.members.From != nil || b.waits {
		return ""
	}
	pool := b.plan.originators
	return pool[s.dice.roll("originator", b.subject(i, 0))%uint64(len(pool))]
}

func (s *Simulator) getBatchReport(c *call) (any, error) {
	params := query(c.Request)
	wanted, err := readFilter(params)
	if err != nil {
		return nil, err
	}
	kind := cmp.Or(params.Get("type"), string(summary))
	if kind != string(summary) && kind != string(full) {
		return nil, withoutBody(http.StatusNotFound)
	}
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	return s.summarise(b, kind == string(full), wanted), nil
}

func (s *Simulator) getRecipientReport(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	number, _ := digits(c.PathValue("recipient"))
	i, ok := b.index[number]
	if !ok {
		return nil, withoutBody(http.StatusNotFound)
	}
	return s.currentReport(b, int(i)), nil
}

// readFilter parses the status and code parameters of a query: comma-separated, statuses in any case. If both are
// missing, it returns nil.
func readFilter(query url.Values) (func(*message) bool, error) {
	var codes []int
	statuses := splitList(query.Get("status"))
	for _, text := range splitList(query.Get("code")) {
		code, err := strconv.Atoi(text)
		if err != nil {
			return nil, invalidFormat(text, "code")
		}
		codes = append(codes, code)
	}
	if len(statuses) == 0 && len(codes) == 0 {
		return nil, nil
	}
	return func(m *message) bool {
		status, code := m.status()
		named := slices.ContainsFunc(statuses, func(s string) bool { return strings.EqualFold(s, status) })
		return (len(statuses) == 0 || named) && (len(codes) == 0 || slices.Contains(codes, code))
	}, nil
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
