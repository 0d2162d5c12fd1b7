package simulator

import (
	"net/url"
	"slices"
	"strings"
)

// batchPage is a page of batches. Size is the number of batches in it.
type batchPage struct {
	Count   int         `json:"count"`
	Page    int         `json:"page"`
	Size    int         `json:"page_size"`
	Batches []batchView `json:"batches"`
}

// listBatches lists the batches of a plan, newest first.
func (s *Simulator) listBatches(c *call) (any, error) {
	asked := query(c.Request)
	p, err := readPage(asked, c.started)
	if err != nil {
		return nil, err
	}
	senders := readSenders(asked)
	s.mu.Lock()
	defer s.unlock()
	var all []*batch
	for _, b := range slices.Backward(s.batches) {
		if b.plan == c.plan && b.kept(c.started) && p.covers(b.created) && p.refers(b) && b.isFrom(senders) {
			all = append(all, b)
		}
	}
	from, to := p.cut(len(all))
	listing := batchPage{Count: len(all), Page: p.number, Size: to - from, Batches: []batchView{}}
	for _, b := range all[from:to] {
		listing.Batches = append(listing.Batches, b.view())
	}
	return listing, nil
}

// readSenders reads the from of a query: senders with commas between them. Numbers are compared on digits, so that it is
// no matter whether their plus came as one.
func readSenders(query url.Values) []string {
	var senders []string
	for sender := range strings.SplitSeq(query.Get("from"), ",") {
		if sender = strings.TrimSpace(sender); sender == "" {
			continue
		}
		if number, ok := digits(sender); ok {
			sender = number
		}
		senders = append(senders, sender)
	}
	return senders
}

// isFrom says whether b is from one of senders; none means any.
func (b *batch) isFrom(senders []string) bool {
	return len(senders) == 0 || b.members.From != nil && slices.Contains(senders, *b.members.From)
}
