package dashboards

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// columns is the number of columns in the grid on which Grafana places panels. The width of a panel is counted in these
// columns.
const columns = 24

// skyline holds, for each column of Grafana's grid, how many rows from the top are filled with panels. The zero value
// is an empty dashboard.
type skyline [columns]uint32

// put reserves space for a panel below the filled rows: as near to the top as possible, and there as far left as
// possible. It returns the position and the size of the panel, in columns and rows of the grid.
func (s *skyline) put(width, height uint32) dashboard.GridPos {
	best := dashboard.GridPos{W: width, H: height, Y: ^uint32(0)}
	for x := range columns - width + 1 {
		if y := slices.Max(s[x : x+width]); y < best.Y {
			best.X, best.Y = x, y
		}
	}
	s.fill(best.X, best.X+width, best.Y+height)
	return best
}

// row reserves space for a section heading of full width below everything placed so far, and returns its position.
func (s *skyline) row() dashboard.GridPos {
	y := slices.Max(s[:])
	s.fill(0, columns, y+1)
	return dashboard.GridPos{W: columns, H: 1, Y: y}
}

func (s *skyline) fill(from, to, height uint32) {
	for x := from; x < to; x++ {
		s[x] = height
	}
}

// place builds all headings and panels of the dashboard, in the order of the sections, and gives each its id and its
// position on the grid.
func (b board) place() ([]dashboard.PanelOrRowPanel, error) {
	var (
		placed []dashboard.PanelOrRowPanel
		filled skyline
	)
	id := func() uint32 { return uint32(len(placed) + 1) }
	for _, s := range b.sections {
		placed = append(placed, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
			Type: "row", Title: new(s.title), Id: id(), GridPos: new(filled.row()), Panels: []dashboard.Panel{},
		}})
		for _, p := range s.panels {
			drawn, err := p.draw()
			if err != nil {
				return nil, err
			}
			drawn.Id, drawn.GridPos = new(id()), new(filled.put(p.width, p.height))
			placed = append(placed, dashboard.PanelOrRowPanel{Panel: &drawn})
		}
	}
	return placed, nil
}
