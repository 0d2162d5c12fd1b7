package groups

import (
	"net/url"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Create creates a group from a request body and returns the group, to be answered as JSON. It returns an *xms.Error if
// the body is invalid, the name is in use or a child group does not exist.
func (gs *Groups) Create(body []byte) (any, error) {
	spec, err := readSpec(body)
	if err != nil {
		return nil, err
	}
	now := xms.Stamp(time.Now()).Time
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := &group{created: now}
	if err := gs.apply(g, spec, now); err != nil {
		return nil, err
	}
	gs.created++
	g.id = gs.newID(gs.created, now)
	gs.insert(g)
	return g.view(), nil
}

// Replace sets all properties of a group from a request body, except id and created_at. It returns the group, to be
// answered as JSON. It returns an *xms.Error if the group is unknown, the body is invalid, the name is in use or a
// child group does not exist.
func (gs *Groups) Replace(id string, body []byte) (any, error) {
	spec, err := readSpec(body)
	if err != nil {
		return nil, err
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, err := gs.find(id)
	if err != nil {
		return nil, err
	}
	if err := gs.apply(g, spec, xms.Stamp(time.Now()).Time); err != nil {
		return nil, err
	}
	return g.view(), nil
}

// apply sets the properties of group g from a checked request body. It returns an *xms.Error, without a change, if the
// name is in use or a child group does not exist. The caller must hold gs.mu.
func (gs *Groups) apply(g *group, s spec, now time.Time) error {
	if err := gs.checkName(g, s.Name); err != nil {
		return err
	}
	for _, child := range s.ChildGroups {
		if gs.byID[child] == nil {
			return xms.UnknownGroup(child)
		}
	}
	g.name, g.children, g.modified = s.Name, s.ChildGroups, now
	g.autoUpdate, _ = readAutoUpdate(s.AutoUpdate) // already checked
	g.members = nil
	g.add(s.Members)
	return nil
}

// checkName returns an *xms.Error if another group than g has this name. A nil name is never in use. The caller must
// hold gs.mu.
func (gs *Groups) checkName(g *group, name *string) error {
	if name == nil {
		return nil
	}
	if other := gs.findByName(*name); other != nil && other != g {
		return xms.Forbidden("conflict_group_name", "Another group has the name '"+*name+"'")
	}
	return nil
}

// Update changes only those properties of a group that the request body contains. It adds members before it removes
// any. It returns the group, to be answered as JSON. It returns an *xms.Error if the group is unknown, the body is
// invalid or names an unknown group, or the name is in use.
func (gs *Groups) Update(id string, body []byte) (any, error) {
	change, err := readChange(body)
	if err != nil {
		return nil, err
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, err := gs.find(id)
	if err != nil {
		return nil, err
	}
	if err := gs.change(g, change); err != nil {
		return nil, err
	}
	g.modified = xms.Stamp(time.Now()).Time
	return g.view(), nil
}

// change applies a checked request body c to group g: only the properties that c contains. It returns an *xms.Error,
// and leaves g unchanged, if the name is in use or a named group is unknown. The caller must hold gs.mu.
func (gs *Groups) change(g *group, c change) error {
	name, _ := c.name() // already checked
	if err := gs.checkName(g, name); err != nil {
		return err
	}
	others := map[string][]string{}
	for _, id := range []string{c.AddFrom, c.RemoveFrom} {
		other := gs.byID[id]
		if id != "" && other == nil {
			return xms.UnknownGroup(id)
		}
		if other != nil {
			others[id] = slices.Clone(other.members)
		}
	}
	if c.Name != nil {
		g.name = name
	}
	if c.AutoUpdate != nil {
		g.autoUpdate, _ = readAutoUpdate(c.AutoUpdate) // already checked
	}
	g.add(c.Add)
	g.add(others[c.AddFrom])
	g.remove(c.Remove)
	g.remove(others[c.RemoveFrom])
	return nil
}

// Delete deletes a group. It returns an *xms.Error if the group is unknown. Its first result is always nil, because the
// API answers a deletion without a body.
func (gs *Groups) Delete(id string) (any, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, err := gs.find(id)
	if err != nil {
		return nil, err
	}
	delete(gs.byID, id)
	gs.ordered = slices.DeleteFunc(gs.ordered, func(other *group) bool { return other == g })
	return nil, nil
}

// Get returns a group, to be answered as JSON, or an *xms.Error if the group is unknown.
func (gs *Groups) Get(id string) (any, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, err := gs.find(id)
	if err != nil {
		return nil, err
	}
	return g.view(), nil
}

// Members returns the phone numbers of a group as digits, without those of child groups, to be answered as JSON. It
// returns an *xms.Error if the group is unknown.
func (gs *Groups) Members(id string) (any, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, err := gs.find(id)
	if err != nil {
		return nil, err
	}
	return append([]string{}, g.members...), nil
}

// page is one page of the JSON list of groups. Count counts the groups on all pages, Size those on this page.
type page struct {
	Count  int    `json:"count"`
	Page   int    `json:"page"`
	Size   int    `json:"page_size"`
	Groups []view `json:"groups"`
}

// List returns the page of groups that query selects, in the order of creation, to be answered as JSON. The page is
// empty beyond the end of the list. If query is invalid, the error wraps an *xms.Error.
func (gs *Groups) List(query url.Values) (any, error) {
	p, err := xms.ReadPageNumber(query)
	if err != nil {
		return nil, err
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	from, to := p.Bounds(len(gs.ordered))
	list := page{Count: len(gs.ordered), Page: p.Number, Size: to - from, Groups: []view{}}
	for _, g := range gs.ordered[from:to] {
		list.Groups = append(list.Groups, g.view())
	}
	return list, nil
}
