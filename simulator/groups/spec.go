package groups

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

const (
	maxName        = 20
	maxMembers     = 10_000 // in one call
	maxChildGroups = 10
)

// readSpec parses and checks the body of a request that creates or replaces a group. It returns an *xms.Error if the
// body is invalid.
func readSpec(body []byte) (spec, error) {
	var s spec
	if err := xms.Decode(body, &s); err != nil {
		return s, err
	}
	return s, s.check()
}

// readChange parses and checks the body of a request that updates a group. It returns an *xms.Error if the body is
// invalid.
func readChange(body []byte) (change, error) {
	var c change
	if err := xms.Decode(body, &c); err != nil {
		return c, err
	}
	return c, c.check()
}

// spec is the JSON body of a request that creates or replaces a group. All fields are optional.
type spec struct {
	Name        *string         `json:"name"`
	Members     []string        `json:"members"`
	ChildGroups []string        `json:"child_groups"`
	AutoUpdate  json.RawMessage `json:"auto_update"` // stored and returned, without effect
}

// change is the JSON body of a request that updates a group. A missing field leaves that property of the group
// unchanged.
type change struct {
	Name       json.RawMessage `json:"name"` // null removes the name
	Add        []string        `json:"add"`
	Remove     []string        `json:"remove"`
	AddFrom    string          `json:"add_from_group"`
	RemoveFrom string          `json:"remove_from_group"`
	AutoUpdate json.RawMessage `json:"auto_update"` // null removes it
}

func (s spec) check() error {
	if err := checkNameLength(s.Name); err != nil {
		return err
	}
	if len(s.ChildGroups) > maxChildGroups {
		return xms.Violation("child_groups must have at most %d elements", maxChildGroups)
	}
	if _, err := readAutoUpdate(s.AutoUpdate); err != nil {
		return err
	}
	return checkMembers("members", s.Members)
}

func (c change) check() error {
	name, err := c.name()
	if err == nil {
		err = checkNameLength(name)
	}
	if err == nil {
		_, err = readAutoUpdate(c.AutoUpdate)
	}
	if err == nil {
		err = checkMembers("add", c.Add)
	}
	if err == nil {
		err = checkMembers("remove", c.Remove)
	}
	return err
}

// name returns the new name of the group, or nil in two cases: if c.Name is nil, the group keeps its name, and if
// c.Name is the JSON null, the group loses its name. name returns an *xms.Error if c.Name is neither a string nor null.
func (c change) name() (name *string, err error) {
	if c.Name != nil {
		err = xms.Decode(c.Name, &name)
	}
	return name, err
}

func checkNameLength(name *string) error {
	if name != nil && (*name == "" || utf8.RuneCountInString(*name) > maxName) {
		return xms.Violation("name must have between 1 and %d characters", maxName)
	}
	return nil
}

func checkMembers(member string, numbers []string) error {
	if len(numbers) > maxMembers {
		return xms.Violation("%s must have at most %d elements", member, maxMembers)
	}
	for _, number := range numbers {
		if _, ok := xms.Digits(number); !ok {
			return xms.InvalidFormat(number, "number")
		}
	}
	return nil
}

// readAutoUpdate checks the JSON field auto_update of a request. It returns an object unchanged, nil for null or a
// missing field, and an *xms.Error for anything else.
func readAutoUpdate(raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case !bytes.HasPrefix(raw, []byte("{")):
		return nil, xms.InvalidJSON("auto_update must be an object")
	default:
		return raw, nil
	}
}
