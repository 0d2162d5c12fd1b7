package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// group is a list of numbers. A batch can be sent to its id.
type group struct {
	id         string
	name       *string
	members    []string // digits, without duplicates, in the order of adding
	children   []string // ids of groups that a batch to this group also goes to; deleted ones are ignored
	autoUpdate json.RawMessage
	created    time.Time
	modified   time.Time
}

// add appends the numbers that are not members yet.
func (g *group) add(numbers []string) {
	known := make(map[string]bool, len(g.members)+len(numbers))
	for _, number := range g.members {
		known[number] = true
	}
	for _, written := range numbers {
		if number, ok := digits(written); ok && !known[number] {
			known[number] = true
			g.members = append(g.members, number)
		}
	}
}

// remove removes numbers from the members.
func (g *group) remove(numbers []string) {
	gone := make(map[string]bool, len(numbers))
	for _, written := range numbers {
		number, _ := digits(written)
		gone[number] = true
	}
	g.members = slices.DeleteFunc(slices.Clone(g.members), func(number string) bool { return gone[number] })
}

// groups holds the groups of a plan. The zero value is empty.
type groups struct {
	all  []*group // in the order of creation
	byID map[string]*group
	made int
}

func (gs *groups) find(id string) *group { return gs.byID[id] }

func (gs *groups) put(g *group) {
	if gs.byID == nil {
		gs.byID = map[string]*group{}
	}
	gs.all = append(gs.all, g)
	gs.byID[g.id] = g
}

func (gs *groups) delete(g *group) {
	delete(gs.byID, g.id)
	gs.all = slices.DeleteFunc(gs.all, func(other *group) bool { return other == g })
}

// visit calls yield with each member of a group and of its child groups. It skips groups that do not exist or are in
// visited.
func (gs *groups) visit(id string, visited map[string]bool, yield func(number string)) {
	g := gs.find(id)
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

// findByName returns the group with the given name, or nil.
func (gs *groups) findByName(name string) *group {
	for _, g := range gs.all {
		if g.name != nil && *g.name == name {
			return g
		}
	}
	return nil
}
