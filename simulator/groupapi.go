package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// groupView is a group as the API shows it.
type groupView struct {
	ID          string          `json:"id"`
	Name        *string         `json:"name,omitempty"`
	Size        int             `json:"size"` // members of its own
	CreatedAt   timestamp       `json:"created_at"`
	ModifiedAt  timestamp       `json:"modified_at"`
	ChildGroups []string        `json:"child_groups,omitempty"`
	AutoUpdate  json.RawMessage `json:"auto_update,omitempty"`
}

func (g *group) view() groupView {
	return groupView{g.id, g.name, len(g.members), timestamp{g.created}, timestamp{g.modified}, g.children, g.autoUpdate}
}

// findGroup is the group that c names.
func (c *call) findGroup() (*group, error) {
	if g := c.plan.groups.find(c.PathValue("group")); g != nil {
		return g, nil
	}
	return nil, bare(http.StatusNotFound)
}

func (s *Simulator) createGroup(c *call) (any, error) {
	spec, err := readGroupSpec(c.body)
	if err != nil {
		return nil, err
	}
	now := stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	g := &group{created: now}
	if err := c.plan.groups.shape(g, spec, now); err != nil {
		return nil, err
	}
	c.plan.groups.made++
	g.id = s.dice.id("group", now, subject{plan: c.plan.ID, turn: c.plan.groups.made})
	c.plan.groups.put(g)
	return g.view(), nil
}

// replaceGroup makes a group anew of the request, but for its id and created_at.
func (s *Simulator) replaceGroup(c *call) (any, error) {
	spec, err := readGroupSpec(c.body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	if err := c.plan.groups.shape(g, spec, stamp(time.Now()).Time); err != nil {
		return nil, err
	}
	return g.view(), nil
}

func readGroupSpec(body []byte) (groupSpec, error) {
	var spec groupSpec
	if err := decode(body, &spec); err != nil {
		return spec, err
	}
	return spec, spec.check()
}

// shape makes g what a checked spec says, unless the groups there are do not allow it.
func (gs *groups) shape(g *group, spec groupSpec, now time.Time) error {
	if err := gs.checkName(g, spec.Name); err != nil {
		return err
	}
	for _, child := range spec.ChildGroups {
		if gs.find(child) == nil {
			return unknownGroup(child)
		}
	}
	g.name, g.children, g.modified = spec.Name, spec.ChildGroups, now
	g.autoUpdate, _ = readAutoUpdate(spec.AutoUpdate) // checked
	g.members = nil
	g.add(spec.Members)
	return nil
}

// checkName refuses a name that another group than g has.
func (gs *groups) checkName(g *group, name *string) error {
	if name == nil {
		return nil
	}
	if other := gs.named(*name); other != nil && other != g {
		return forbidden("conflict_group_name", "Another group has the name '"+*name+"'")
	}
	return nil
}

// updateGroup changes what the request names. Adds come before removes.
func (s *Simulator) updateGroup(c *call) (any, error) {
	var change groupChange
	if err := decode(c.body, &change); err != nil {
		return nil, err
	}
	if err := change.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	if err := c.plan.groups.change(g, change); err != nil {
		return nil, err
	}
	g.modified = stamp(time.Now()).Time
	return g.view(), nil
}

// change does a checked change to g, all of it or nothing.
func (gs *groups) change(g *group, change groupChange) error {
	name, _ := change.name() // checked
	if err := gs.checkName(g, name); err != nil {
		return err
	}
	others := map[string][]string{}
	for _, id := range []string{change.AddFrom, change.RemoveFrom} {
		other := gs.find(id)
		if id != "" && other == nil {
			return unknownGroup(id)
		}
		if other != nil {
			others[id] = slices.Clone(other.members)
		}
	}
	if change.Name != nil {
		g.name = name
	}
	if change.AutoUpdate != nil {
		g.autoUpdate, _ = readAutoUpdate(change.AutoUpdate) // checked
	}
	g.add(change.Add)
	g.add(others[change.AddFrom])
	g.remove(change.Remove)
	g.remove(others[change.RemoveFrom])
	return nil
}

func (s *Simulator) deleteGroup(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	c.plan.groups.delete(g)
	return nil, nil
}

func (s *Simulator) getGroup(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	return g.view(), nil
}

// groupMembers is the members of a group, without those of its child groups.
func (s *Simulator) groupMembers(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	return append([]string{}, g.members...), nil
}

// groupPage is a page of groups. Size is the number of groups in it.
type groupPage struct {
	Count  int         `json:"count"`
	Page   int         `json:"page"`
	Size   int         `json:"page_size"`
	Groups []groupView `json:"groups"`
}

// listGroups lists the groups of a plan in the order of creation.
func (s *Simulator) listGroups(c *call) (any, error) {
	var p page
	if err := p.readNumbers(query(c.Request)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	all := c.plan.groups.all
	from, to := p.cut(len(all))
	listing := groupPage{Count: len(all), Page: p.number, Size: to - from, Groups: []groupView{}}
	for _, g := range all[from:to] {
		listing.Groups = append(listing.Groups, g.view())
	}
	return listing, nil
}
