package simulator

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

const (
	maxGroupName    = 20
	maxGroupMembers = 10_000 // in one call
	maxChildGroups  = 10
)

// groupSpec is the body of a request that creates or replaces a group.
type groupSpec struct {
	Name        *string         `json:"name"`
	Members     []string        `json:"members"`
	ChildGroups []string        `json:"child_groups"`
	AutoUpdate  json.RawMessage `json:"auto_update"` // stored and returned, without effect
}

// groupChange is the body of a request that updates a group.
type groupChange struct {
	Name       json.RawMessage `json:"name"` // null removes the name
	Add        []string        `json:"add"`
	Remove     []string        `json:"remove"`
	AddFrom    string          `json:"add_from_group"`
	RemoveFrom string          `json:"remove_from_group"`
	AutoUpdate json.RawMessage `json:"auto_update"` // null removes it
}

func (spec groupSpec) check() error {
	if err := checkGroupName(spec.Name); err != nil {
		return err
	}
	if len(spec.ChildGroups) > maxChildGroups {
		return violation("child_groups must have at most %d elements", maxChildGroups)
	}
	if _, err := readAutoUpdate(spec.AutoUpdate); err != nil {
		return err
	}
	return checkMembers("members", spec.Members)
}

func (change groupChange) check() error {
	name, err := change.name()
	if err == nil {
		err = checkGroupName(name)
	}
	if err == nil {
		_, err = readAutoUpdate(change.AutoUpdate)
	}
	if err == nil {
		err = checkMembers("add", change.Add)
	}
	if err == nil {
		err = checkMembers("remove", change.Remove)
	}
	return err
}

// name returns the new name of the group. It returns nil if the change removes the name or does not contain it.
func (change groupChange) name() (name *string, err error) {
	if change.Name != nil {
		err = decode(change.Name, &name)
	}
	return name, err
}

func checkGroupName(name *string) error {
	if name != nil && (*name == "" || utf8.RuneCountInString(*name) > maxGroupName) {
		return violation("name must have between 1 and %d characters", maxGroupName)
	}
	return nil
}

func checkMembers(member string, numbers []string) error {
	if len(numbers) > maxGroupMembers {
		return violation("%s must have at most %d elements", member, maxGroupMembers)
	}
	for _, number := range numbers {
		if _, ok := digits(number); !ok {
			return invalidFormat(number, "number")
		}
	}
	return nil
}

// readAutoUpdate returns raw if it is a JSON object, nil if it is null or empty, and an *apiError for anything else.
func readAutoUpdate(raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, nil
	case !bytes.HasPrefix(raw, []byte("{")):
		return nil, invalidJSON("auto_update must be an object")
	default:
		return raw, nil
	}
}
