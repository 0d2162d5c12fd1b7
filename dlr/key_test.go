package dlr

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// Stores keep these keys: if one changes, every stored report looks new.
func TestContentKeysDoNotChange(t *testing.T) {
	for name, want := range map[string]string{
		"cb-rdr-sms-delivered.json": "954366a3dd0bacf5176e1168d614b203",
		"cb-rdr-mms-rejected.json":  "abbb628016aa56e09c3266f0ac27c3be",
		"cb-dr-sms-full.json":       "bf76987c3e96493800d09cdf4b314917",
		"cb-dr-sms-full-odd.json":   "c0d71e853b99c55365a566eea10a86db",
		"cb-dr-sms-summary.json":    "bc4ee1fefd5ffd95bb2e0412bc507314",
		"cb-dr-sms-empty.json":      "4d064360ff253e05c5359a33d208e06e",
	} {
		got, err := Parse(fixtures.Read(t, name))
		require.NoError(t, err)
		key := got.Report.ContentKey()
		require.Equal(t, want, hex.EncodeToString(key[:]), name)
	}
}

// drawBatch draws from few values, so that two draws are often the same report in different form.
func drawBatch(t *rapid.T) *Report {
	r := &Report{
		Type:            rapid.SampledFrom([]Type{BatchSMS, BatchMMS}).Draw(t, "type"),
		BatchID:         rapid.SampledFrom([]string{"a", "ab"}).Draw(t, "batch"),
		Total:           rapid.IntRange(0, 1).Draw(t, "total"),
		ClientReference: rapid.SampledFrom([]string{"", "b"}).Draw(t, "reference"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		r.Entries = append(r.Entries, Entry{
			State: State{
				Status: rapid.SampledFrom([]Status{Failed, Expired, "b"}).Draw(t, "status"),
				Code:   rapid.SampledFrom([]int{NoCode, 14}).Draw(t, "code"),
			},
			Count:      rapid.IntRange(1, 2).Draw(t, "count"),
			Recipients: rapid.SliceOfN(rapid.SampledFrom([]string{"+1", "1", "0011", "11", "b"}), 0, 3).Draw(t, "recipients"),
		})
	}
	return r
}

// canonical returns the content of a batch report as text, independently of ContentKey.
func canonical(r *Report) string {
	type kind struct {
		status Status
		code   int
	}
	counts := map[kind]int{}
	recipients := map[kind]map[string]bool{}
	for _, e := range r.Entries {
		k := kind{e.Status, e.Code}
		counts[k] += e.Count
		if recipients[k] == nil {
			recipients[k] = map[string]bool{}
		}
		for _, n := range e.Recipients {
			recipients[k][Digits(n)] = true
		}
	}
	lines := []string{}
	for k, count := range counts {
		lines = append(lines, fmt.Sprintf("%q %d %d %q", k.status, k.code, count, slices.Sorted(maps.Keys(recipients[k]))))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s %q %d %q", r.Type, r.BatchID, r.Total, lines)
}

func TestBatchKeysAreEqualExactlyForTheSameContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBatch(t), drawBatch(t)
		require.Equal(t, canonical(a) == canonical(b), a.ContentKey() == b.ContentKey(), "%s\n%s", canonical(a), canonical(b))
	})
}

// rewritten returns r in another form with the same content.
func rewritten(t *rapid.T, r *Report) *Report {
	other := *r
	other.ClientReference, other.Operator, other.Parts = "another", "310260", 4
	other.Entries = nil
	for _, e := range r.Entries {
		parts := 1
		if e.Count > 1 {
			parts = rapid.IntRange(1, 2).Draw(t, "parts")
		}
		recipients := rapid.Permutation(e.Recipients).Draw(t, "recipients")
		for i := range recipients {
			if isDigits(recipients[i]) {
				recipients[i] = decorate(t, recipients[i])
			}
		}
		if len(recipients) > 0 && rapid.Bool().Draw(t, "repeat") {
			recipients = append(recipients, recipients[0])
		}
		if parts == 2 {
			cut := rapid.IntRange(0, len(recipients)).Draw(t, "cut")
			other.Entries = append(other.Entries, Entry{State: e.State, Count: 1, Recipients: recipients[:cut]})
			e.Count, recipients = e.Count-1, recipients[cut:]
		}
		e.Recipients = recipients
		other.Entries = append(other.Entries, e)
	}
	other.Entries = rapid.Permutation(other.Entries).Draw(t, "entries")
	return &other
}

func drawRealisticBatch(t *rapid.T) *Report {
	r := &Report{Type: BatchSMS, BatchID: "01K2QHBT0F9G2KSY7P3M1DQX8R", Total: 20, ClientReference: "otp/7f31"}
	for i := range rapid.IntRange(1, 4).Draw(t, "entries") {
		recipients := rapid.SliceOfNDistinct(rapid.StringMatching(`[1-9][0-9]{7,14}`), 1, 5, rapid.ID).Draw(t, "recipients")
		r.Entries = append(r.Entries, Entry{
			State: State{Status: finals[i/2], Code: i % 2 * 14}, Count: len(recipients), Recipients: recipients,
		})
	}
	return r
}

func TestABatchKeyDoesNotDependOnTheForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRealisticBatch(t)
		require.Equal(t, r.ContentKey(), rewritten(t, r).ContentKey())
	})
}

func TestContentKeyDoesNotChangeTheReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawBatch(t)
		before := fmt.Sprintf("%#v", r)
		require.Equal(t, r.ContentKey(), r.ContentKey())
		require.Equal(t, before, fmt.Sprintf("%#v", r))
	})
}

func TestABatchKeyChangesWithTheContent(t *testing.T) {
	fresh := func() *Report {
		r, err := Parse(fixtures.Read(t, "cb-dr-sms-full.json"))
		require.NoError(t, err)
		return r.Report
	}
	seen := map[[16]byte]string{fresh().ContentKey(): "none"}
	for name, change := range map[string]func(*Report){
		"type":        func(r *Report) { r.Type = BatchMMS },
		"batch":       func(r *Report) { r.BatchID = "01k2QHBT0F9G2KSY7P3M1DQX8R" },
		"total":       func(r *Report) { r.Total++ },
		"count":       func(r *Report) { r.Entries[0].Count++ },
		"status":      func(r *Report) { r.Entries[0].Status = Unknown },
		"code":        func(r *Report) { r.Entries[0].Code = 1 },
		"no code":     func(r *Report) { r.Entries[0].Code = NoCode },
		"a recipient": func(r *Report) { r.Entries[0].Recipients[0] = "12025550144" },
		"a recipient more": func(r *Report) {
			r.Entries[0].Recipients = append(r.Entries[0].Recipients, "12025550144")
		},
		"a recipient less":        func(r *Report) { r.Entries[0].Recipients = r.Entries[0].Recipients[:1] },
		"recipients change place": func(r *Report) { swap(&r.Entries[0].Recipients[0], &r.Entries[1].Recipients[0]) },
		"two numbers run on":      func(r *Report) { r.Entries[0].Recipients = []string{"12025550143447700900118"} },
		"no recipients":           func(r *Report) { r.Entries[0].Recipients = nil },
		"an entry less":           func(r *Report) { r.Entries = r.Entries[1:] },
		"an entry more": func(r *Report) {
			r.Entries = append(r.Entries, Entry{State: State{Status: Failed}, Count: 1})
		},
		"no entries": func(r *Report) { r.Entries = nil },
	} {
		r := fresh()
		change(r)
		key := r.ContentKey()
		require.Empty(t, seen[key], name)
		seen[key] = name
	}
}

func swap(a, b *string) { *a, *b = *b, *a }

func TestRecipientKeysAreEqualExactlyForTheSameContent(t *testing.T) {
	draw := func(t *rapid.T, number string, s State) *Report {
		return &Report{
			Type:     rapid.SampledFrom([]Type{RecipientSMS, RecipientMMS}).Draw(t, "type"),
			BatchID:  rapid.SampledFrom([]string{"a", "a", "a", "ab"}).Draw(t, "batch"),
			Total:    1,
			Entries:  recipientEntry(number, s),
			Operator: rapid.SampledFrom([]string{"", "310260"}).Draw(t, "operator"),
		}
	}
	numbers := rapid.SampledFrom([]string{"1", "1", "+1", "001 1", "b"})
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		a, b := draw(t, numbers.Draw(t, "a"), s), draw(t, numbers.Draw(t, "b"), drawNear(t, s))
		ea, eb := a.Entries[0], b.Entries[0]
		same := a.BatchID == b.BatchID && Digits(ea.Recipients[0]) == Digits(eb.Recipients[0]) && ea.SameReport(eb.State)
		require.Equal(t, same, a.ContentKey() == b.ContentKey())
	})
}

func TestARecipientKeyCoversTheMillisecond(t *testing.T) {
	a, b := deliveredFixture(), deliveredFixture()
	b.Entries[0].At = b.Entries[0].At.Add(time.Millisecond)
	require.NotEqual(t, a.ContentKey(), b.ContentKey())
	b.Entries[0].At = a.Entries[0].At.In(time.FixedZone("", 3600))
	b.Entries[0].OperatorAt = time.Time{}
	b.ClientReference, b.Encoding = "", "GSM"
	require.Equal(t, a.ContentKey(), b.ContentKey())
}

func TestARecipientReportBuiltInCodeHasAKey(t *testing.T) {
	empty := (&Report{Type: RecipientSMS}).ContentKey()
	none := (&Report{Type: RecipientSMS, Entries: make([]Entry, 1)}).ContentKey()
	require.NotEqual(t, empty, none)
}

func BenchmarkContentKeyOfARecipientReport(b *testing.B) {
	r := deliveredFixture()
	b.ReportAllocs()
	for b.Loop() {
		r.ContentKey()
	}
}

func BenchmarkContentKeyOf100000Recipients(b *testing.B) {
	recipients := make([]string, 100_000)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("+44770%07d", i*7919%10_000_000)
	}
	r := &Report{Type: BatchSMS, BatchID: "01K2QHBT0F9G2KSY7P3M1DQX8R", Total: len(recipients), Entries: []Entry{
		{State: State{Status: Delivered}, Count: 90_000, Recipients: recipients[:90_000]},
		{State: State{Status: Failed, Code: 153}, Count: 10_000, Recipients: recipients[90_000:]},
	}}
	b.ReportAllocs()
	for b.Loop() {
		r.ContentKey()
	}
}
