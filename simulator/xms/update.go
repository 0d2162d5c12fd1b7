package xms

import (
	"encoding/json"
	"slices"
)

// maxChanges limits the lists to_add and to_remove in one update of a batch: each may have this many entries. A longer
// list is answered 400.
const maxChanges = 100

// Update is the parsed body of a request that changes some fields of a batch. Create it with ReadUpdate.
type Update struct {
	named       map[string]json.RawMessage // all fields but to, to_add and to_remove; null removes a field
	add, remove []string                   // numbers as digits, or group ids
}

// ReadUpdate parses the body of a request that changes some fields of a batch. It returns an *Error if the body is not
// a JSON object, or if to_add or to_remove is invalid. Update.ApplyTo checks the other fields.
func ReadUpdate(body []byte) (Update, error) {
	var u Update
	if err := Decode(body, &u.named); err != nil {
		return u, err
	}
	if u.named == nil {
		return u, InvalidJSON("the body is not JSON of the expected structure")
	}
	for _, change := range []struct {
		key  string
		into *[]string
	}{{"to_add", &u.add}, {"to_remove", &u.remove}} {
		value, ok := u.named[change.key]
		delete(u.named, change.key)
		if !ok || string(value) == "null" {
			continue
		}
		if err := Decode(value, change.into); err != nil {
			return u, err
		}
		if n := len(*change.into); n < 1 || n > maxChanges {
			return u, Violation("%s must have between 1 and %d elements", change.key, maxChanges)
		}
		if err := normalizeRecipients(*change.into); err != nil {
			return u, err
		}
	}
	delete(u.named, "to")
	return u, nil
}

// ApplyTo returns a copy of batch b with the changes of the update; b stays as it is. It adds recipients before it
// removes any. It returns an *Error if the changed batch is invalid.
func (u Update) ApplyTo(b Batch) (Batch, error) {
	var merged map[string]json.RawMessage
	if err := json.Unmarshal(Encode(b), &merged); err != nil {
		return b, err
	}
	for key, value := range u.named {
		merged[key] = value
	}
	var changed Batch
	if err := Decode(Encode(merged), &changed); err != nil {
		return b, err
	}
	for _, entry := range u.add {
		if !slices.Contains(changed.To, entry) {
			changed.To = append(changed.To, entry)
		}
	}
	changed.To = slices.DeleteFunc(changed.To, func(entry string) bool { return slices.Contains(u.remove, entry) })
	return changed, changed.check()
}
