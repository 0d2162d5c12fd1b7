package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// groupView is the JSON form of a group in API answers.
type groupView struct {
	ID          string          `json:"id"`
	Name        *string         `json:"name,omitempty"`
	Size        int             `json:"size"` // members, without those of child groups
	CreatedAt   timestamp       `json:"created_at"`
	ModifiedAt  timestamp       `json:"modified_at"`
	ChildGroups []string        `json:"child_groups,omitempty"`
	AutoUpdate  json.RawMessage `json:"auto_update,omitempty"`
}

func (g *group) view() groupView {
	return groupView{
		g.id, g.name, len(g.members),
		timestamp{g.created},
		timestamp{g.modified},
		g.children,
		g.autoUpdate,
	}
}

// findGroup returns the group named in the path of c, or a 404.
func (c *call) findGroup() (*group, error) {
	if g := c.plan.groups.find(c.PathValue("group")); g != nil {
		return g, nil
	}
	return nil, withoutBody(http.StatusNotFound)
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
	if err := c.plan.groups.applySpec(g, spec, now); err != nil {
		return nil, err
	}
	c.plan.groups.made++
	g.id = s.dice.id("group", now, subject{plan: c.plan.ID, turn: c.plan.groups.made})
	c.plan.groups.put(g)
	return g.view(), nil
}

// replaceGroup replaces everything of a group but its id and created_at.
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
	if err := c.plan.groups.applySpec(g, spec, stamp(time.Now()).Time); err != nil {
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

// applySpec sets g from a checked spec. It returns an *apiError if the name is in use or a child group does not
// exist.
func (gs *groups) applySpec(g *group, spec groupSpec, now time.Time) error {
	if err := gs.checkName(g, spec.Name); err != nil {
		return err
	}
	for _, child := range spec.ChildGroups {
		if gs.find(child) == nil {
			return unknownGroup(child)
		}
	}
	g.name, g.children, g.modified = spec.Name, spec.ChildGroups, now
	g.autoUpdate, _ = readAutoUpdate(spec.AutoUpdate) // already checked
	g.members = nil
	g.add(spec.Members)
	return nil
}

// checkName returns an *apiError if another group than g has the name.
func (gs *groups) checkName(g *group, name *string) error {
	if name == nil {
		return nil
	}
	if other := gs.findByName(*name); other != nil && other != g {
		return forbidden("conflict_group_name", "Another group has the name '"+*name+"'")
	}
	return nil
}

// updateGroup changes the members that the request names. It adds before it removes.
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

// change applies a checked change to g. On error g is unchanged.
func (gs *groups) change(g *group, change groupChange) error {
	name, _ := change.name() // already checked
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
		g.autoUpdate, _ = readAutoUpdate(change.AutoUpdate) // already checked
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

// groupMembers lists the members of a group, without those of its child groups.
func (s *Simulator) groupMembers(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	return append([]string{}, g.members...), nil
}

// groupPage is one page of groups. Count is the total over all pages; Size is the number of groups in this page.
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
	from, to := p.bounds(len(all))
	listing := groupPage{Count: len(all), Page: p.number, Size: to - from, Groups: []groupView{}}
	for _, g := range all[from:to] {
		listing.Groups = append(listing.Groups, g.view())
	}
	return listing, nil
}
