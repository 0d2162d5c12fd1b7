package batches

import (
	"net/url"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// batchPage is one page of the JSON list of batches. Count counts the batches on all pages, Size those on this page.
type batchPage struct {
	Count   int         `json:"count"`
	Page    int         `json:"page"`
	Size    int         `json:"page_size"`
	Batches []batchView `json:"batches"`
}

// List returns the page of batches that query selects, newest first, as a JSON-encodable value. It omits batches whose
// retention is over. If query is invalid, the error wraps an *xms.Error.
func (p *Plan) List(query url.Values, now time.Time) (any, error) {
	page, err := xms.ReadPage(query, now)
	if err != nil {
		return nil, err
	}
	senders := xms.ReadSenders(query)
	p.store.mu.Lock()
	defer p.store.unlock()
	var all []*batch
	for _, b := range slices.Backward(p.store.batches) {
		if b.plan == p && b.kept(now) && page.Includes(b.created) && page.Matches(&b.request) &&
			senders.Match(&b.request) {
			all = append(all, b)
		}
	}
	from, to := page.Bounds(len(all))
	list := batchPage{Count: len(all), Page: page.Number, Size: to - from, Batches: []batchView{}}
	for _, b := range all[from:to] {
		list.Batches = append(list.Batches, b.view())
	}
	return list, nil
}

// reportPage is one page of the JSON list of recipient reports. Count counts the reports on all pages, Size those on
// this page.
type reportPage struct {
	Count   int               `json:"count"`
	Page    int               `json:"page"`
	Size    int               `json:"page_size"`
	Reports []recipientReport `json:"delivery_reports"`
}

// Reports returns the page of recipient reports that query selects, newest first, as a JSON-encodable value. It omits
// messages without a final status. If query is invalid, the error wraps an *xms.Error.
func (p *Plan) Reports(query url.Values, now time.Time) (any, error) {
	page, err := xms.ReadPage(query, now)
	if err != nil {
		return nil, err
	}
	filter, err := xms.ReadFilter(query)
	if err != nil {
		return nil, err
	}
	type found struct {
		batch *batch
		index int
	}
	var all []found
	p.store.mu.Lock()
	defer p.store.unlock()
	for _, b := range p.store.batches {
		if b.plan != p || !b.kept(now) || !page.Matches(&b.request) {
			continue
		}
		for i := range b.recipients {
			m := &b.recipients[i]
			if m.stage == final && page.Includes(m.at) && filter.Matches(m.status()) {
				all = append(all, found{b, i})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y found) int {
		return y.batch.recipients[y.index].at.Compare(x.batch.recipients[x.index].at)
	})
	from, to := page.Bounds(len(all))
	list := reportPage{Count: len(all), Page: page.Number, Size: to - from, Reports: []recipientReport{}}
	for _, f := range all[from:to] {
		list.Reports = append(list.Reports, p.store.currentReport(f.batch, f.index))
	}
	return list, nil
}
