package groups

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// group is a list of phone numbers with an id. A batch can be sent to this id instead of to each number. The mutex of
// Groups guards it.
type group struct {
	id         string
	name       *string
	members    []string // digits, without duplicates, in the order of adding
	children   []string // ids of groups that a batch to this group also goes to; deleted ones are ignored
	autoUpdate json.RawMessage
	created    time.Time
	modified   time.Time
}

// add adds phone numbers to the group, as digits. It skips numbers that are members already and those that are invalid.
func (g *group) add(numbers []string) {
	known := make(map[string]bool, len(g.members)+len(numbers))
	for _, number := range g.members {
		known[number] = true
	}
	for _, written := range numbers {
		if number, ok := xms.Digits(written); ok && !known[number] {
			known[number] = true
			g.members = append(g.members, number)
		}
	}
}

func (g *group) remove(numbers []string) {
	removed := make(map[string]bool, len(numbers))
	for _, written := range numbers {
		number, _ := xms.Digits(written)
		removed[number] = true
	}
	g.members = slices.DeleteFunc(slices.Clone(g.members), func(number string) bool { return removed[number] })
}

// view is the JSON form of a group (list of phone numbers) in API answers. It has the number of members, not the
// members.
type view struct {
	ID          string          `json:"id"`
	Name        *string         `json:"name,omitempty"`
	Size        int             `json:"size"` // members, without those of child groups
	CreatedAt   xms.Timestamp   `json:"created_at"`
	ModifiedAt  xms.Timestamp   `json:"modified_at"`
	ChildGroups []string        `json:"child_groups,omitempty"`
	AutoUpdate  json.RawMessage `json:"auto_update,omitempty"`
}

func (g *group) view() view {
	return view{
		ID: g.id, Name: g.name, Size: len(g.members), CreatedAt: xms.Timestamp{Time: g.created},
		ModifiedAt: xms.Timestamp{Time: g.modified}, ChildGroups: g.children, AutoUpdate: g.autoUpdate,
	}
}
