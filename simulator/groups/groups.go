package groups

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Groups holds the groups (lists of phone numbers) of one service plan. Create it with New. All methods are safe for
// concurrent use.
type Groups struct {
	newID func(ordinal int, created time.Time) string

	mu      sync.Mutex // guards the fields below and everything they point to
	ordered []*group   // in the order of creation
	byID    map[string]*group
	created int // number of groups that Create has created
}

// New returns the groups of a service plan. initial maps the ids of the first groups to their phone numbers. newID
// returns an unused id for each group that Create creates; ordinal counts these groups from 1.
func New(initial map[string][]string, newID func(ordinal int, created time.Time) string) *Groups {
	gs := &Groups{newID: newID, byID: map[string]*group{}}
	now := xms.Stamp(time.Now()).Time
	for _, id := range slices.Sorted(maps.Keys(initial)) {
		g := &group{id: id, created: now, modified: now}
		g.add(initial[id])
		gs.insert(g)
	}
	return gs
}

// Exists reports whether there is a group with this id.
func (gs *Groups) Exists(id string) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return gs.byID[id] != nil
}

// Visit calls yield with each phone number, as digits, of a group, its child groups, their child groups and so on. A
// number may come several times. An unknown group has no numbers. yield must not call methods of gs, since they would
// block forever.
func (gs *Groups) Visit(id string, yield func(number string)) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.visit(id, map[string]bool{}, yield)
}

// visit implements Visit. It skips each group whose id is in visited, and adds the id of each group that it visits to
// visited. The caller must hold gs.mu.
func (gs *Groups) visit(id string, visited map[string]bool, yield func(number string)) {
	g := gs.byID[id]
	if g == nil || visited[id] {
		return
	}
	visited[id] = true
	for _, number := range g.members {
		yield(number)
	}
	for _, child := range g.children {
		gs.visit(child, visited, yield)
	}
}

// find returns the group with this id, or an *xms.Error with status 404 if there is none. The caller must hold gs.mu.
func (gs *Groups) find(id string) (*group, error) {
	if g := gs.byID[id]; g != nil {
		return g, nil
	}
	return nil, xms.WithoutBody(http.StatusNotFound)
}

func (gs *Groups) insert(g *group) {
	gs.ordered = append(gs.ordered, g)
	gs.byID[g.id] = g
}

// findByName returns the group with this name, or nil if there is none. The caller must hold gs.mu.
func (gs *Groups) findByName(name string) *group {
	for _, g := range gs.ordered {
		if g.name != nil && *g.name == name {
			return g
		}
	}
	return nil
}
