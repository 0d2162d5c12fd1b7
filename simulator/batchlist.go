package simulator

import (
	"net/url"
	"slices"
	"strings"
)

// batchPage is one page of a batch list. Count is the total over all pages; Size is the number of batches in this
// page.
type batchPage struct {
	Count   int         `json:"count"`
	Page    int         `json:"page"`
	Size    int         `json:"page_size"`
	Batches []batchView `json:"batches"`
}

// listBatches lists the batches of a plan, newest first.
func (s *Simulator) listBatches(c *call) (any, error) {
	params := query(c.Request)
	p, err := readPage(params, c.started)
	if err != nil {
		return nil, err
	}
	senders := readSenders(params)
	s.mu.Lock()
	defer s.unlock()
	var all []*batch
	for _, b := range slices.Backward(s.batches) {
		if b.plan == c.plan && b.kept(c.started) && p.includes(b.created) && p.matches(b) && b.isFrom(senders) {
			all = append(all, b)
		}
	}
	from, to := p.bounds(len(all))
	listing := batchPage{Count: len(all), Page: p.number, Size: to - from, Batches: []batchView{}}
	for _, b := range all[from:to] {
		listing.Batches = append(listing.Batches, b.view())
	}
	return listing, nil
}

// readSenders parses the comma-separated senders in a query's from parameter. Numbers are compared by their digits,
// since an unescaped plus sign arrives as a space.
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

// isFrom reports whether b was sent from one of senders. An empty list matches every batch.
func (b *batch) isFrom(senders []string) bool {
	return len(senders) == 0 || b.members.From != nil && slices.Contains(senders, *b.members.From)
}
