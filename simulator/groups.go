package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// group is a list of numbers that a batch may be sent to by its id.
type group struct {
	id         string
	name       *string
	members    []string // digits, each once, in the order of adding
	children   []string // ids of groups whose members count too, as long as they exist
	autoUpdate json.RawMessage
	created    time.Time
	modified   time.Time
}

// add takes in numbers that are not members yet.
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

// remove strikes off numbers.
func (g *group) remove(numbers []string) {
	gone := make(map[string]bool, len(numbers))
	for _, written := range numbers {
		number, _ := digits(written)
		gone[number] = true
	}
	g.members = slices.DeleteFunc(slices.Clone(g.members), func(number string) bool { return gone[number] })
}

// groups are the groups of a plan. The zero value is none.
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

// visit tells the members of a group and of its child groups. One that does not exist, or has been visited, has none.
func (gs *groups) visit(id string, visited map[string]bool, tell func(number string)) {
	g := gs.find(id)
	if g == nil || visited[id] {
		return
	}
	visited[id] = true
	for _, number := range g.members {
		tell(number)
	}
	for _, child := range g.children {
		gs.visit(child, visited, tell)
	}
}

// named is the group of that name, if there is one.
func (gs *groups) named(name string) *group {
	for _, g := range gs.all {
		if g.name != nil && *g.name == name {
			return g
		}
	}
	return nil
}
