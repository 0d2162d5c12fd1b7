package dlr

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// ContentKey returns a key that identifies the report. The key is a hash of the content, because Sinch's reports have
// no id. If Sinch repeats a report, the repetition has the same key as the first, even if it lists the recipients in
// another order. Stores keep the keys, so the hashed bytes must never change.
func (r *Report) ContentKey() [16]byte {
	content := make([]byte, 0, 256)
	if r.Type.Recipient() && len(r.Entries) == 1 && len(r.Entries[0].Recipients) == 1 {
		content = r.appendRecipient(content)
	} else {
		content = r.appendBatch(content)
	}
	sum := sha256.Sum256(content)
	return [16]byte(sum[:16])
}

// appendRecipient appends to b the bytes that identify a recipient report: batch id, digits of the phone number,
// status, code and time. It returns the longer slice.
func (r *Report) appendRecipient(b []byte) []byte {
	e := r.Entries[0]
	b = appendText(b, "recipient")
	b = appendText(b, r.BatchID)
	b = appendText(b, Digits(e.Recipients[0]))
	b = appendText(b, string(e.Status))
	b = binary.AppendVarint(b, int64(e.Code))
	return binary.AppendVarint(b, e.At.UnixMilli())
}

// appendBatch appends to b the bytes that identify a batch report: type, batch id, total, and the entries in sorted
// order. Entries with the same status and code become one. It returns the longer slice.
func (r *Report) appendBatch(b []byte) []byte {
	b = appendText(b, string(r.Type))
	b = appendText(b, r.BatchID)
	b = binary.AppendVarint(b, int64(r.Total))
	entries := slices.Clone(r.Entries)
	slices.SortFunc(entries, compareKind)
	for len(entries) > 0 {
		same := 1
		for same < len(entries) && compareKind(entries[0], entries[same]) == 0 {
			same++
		}
		b = appendEntries(b, entries[:same])
		entries = entries[same:]
	}
	return b
}

func compareKind(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Code, b.Code))
}

// appendEntries encodes entries, which all have the same status and code, as a single entry with the sum of the counts
// and the sorted recipients. It appends the result to b and returns the longer slice.
func appendEntries(b []byte, entries []Entry) []byte {
	var count, listed int
	for _, e := range entries {
		count += e.Count
		listed += len(e.Recipients)
	}
	recipients := make([]string, 0, listed)
	for _, e := range entries {
		for _, n := range e.Recipients {
			recipients = append(recipients, Digits(n))
		}
	}
	slices.Sort(recipients)
	recipients = slices.Compact(recipients)

	b = appendText(b, string(entries[0].Status))
	b = binary.AppendVarint(b, int64(entries[0].Code))
	b = binary.AppendVarint(b, int64(count))
	b = binary.AppendUvarint(b, uint64(len(recipients)))
	for _, digits := range recipients {
		b = appendText(b, digits)
	}
	return b
}

// appendText appends the length of s and then s to b. Without the length, "ab", "c" and "a", "bc" would be encoded
// alike.
func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
