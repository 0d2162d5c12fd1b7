package simulator

import (
	"slices"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// reportPage is one page of recipient reports. Count is the total over all pages; Size is the number of reports in
// this page.
type reportPage struct {
	Count   int               `json:"count"`
	Page    int               `json:"page"`
	Size    int               `json:"page_size"`
	Reports []recipientReport `json:"delivery_reports"`
}

// listReports lists the reports of a plan's final messages, newest first.
func (s *Simulator) listReports(c *call) (any, error) {
	params := xms.Query(c.Request)
	p, err := xms.ReadPage(params, c.started)
	if err != nil {
		return nil, err
	}
	wanted, err := xms.ReadFilter(params)
	if err != nil {
		return nil, err
	}
	type found struct {
		batch *batch
		index int
	}
	var all []found
	s.mu.Lock()
	defer s.unlock()
	for _, b := range s.batches {
		if b.plan != c.plan || !b.kept(c.started) || !p.Matches(&b.request) {
			continue
		}
		for i := range b.recipients {
			m := &b.recipients[i]
			if m.stage == final && p.Includes(m.at) && wanted.Matches(m.status()) {
				all = append(all, found{b, i})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y found) int {
		return y.batch.recipients[y.index].at.Compare(x.batch.recipients[x.index].at)
	})
	from, to := p.Bounds(len(all))
	listing := reportPage{Count: len(all), Page: p.Number, Size: to - from, Reports: []recipientReport{}}
	for _, f := range all[from:to] {
		listing.Reports = append(listing.Reports, s.currentReport(f.batch, f.index))
	}
	return listing, nil
}
