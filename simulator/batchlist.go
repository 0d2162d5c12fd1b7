package simulator

import (
	"slices"

	"github.com/dlrloop/dlrloop/simulator/xms"
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
	params := xms.Query(c.Request)
	p, err := xms.ReadPage(params, c.started)
	if err != nil {
		return nil, err
	}
	senders := xms.ReadSenders(params)
	s.mu.Lock()
	defer s.unlock()
	var all []*batch
	for _, b := range slices.Backward(s.batches) {
		if b.plan == c.plan && b.kept(c.started) && p.Includes(b.created) && p.Matches(&b.request) &&
			senders.Match(&b.request) {
			all = append(all, b)
		}
	}
	from, to := p.Bounds(len(all))
	listing := batchPage{Count: len(all), Page: p.Number, Size: to - from, Batches: []batchView{}}
	for _, b := range all[from:to] {
		listing.Batches = append(listing.Batches, b.view())
	}
	return listing, nil
}
