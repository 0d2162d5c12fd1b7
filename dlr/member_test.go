package dlr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// An invalid optional member is dropped; the report is kept.
func TestAnInvalidOptionalMemberIsDropped(t *testing.T) {
	forget := map[string]func(*Report){
		"code":                    func(r *Report) { r.Entries[0].Code = NoCode },
		"at":                      func(r *Report) { r.Entries[0].At = time.Time{} },
		"operator_status_at":      func(r *Report) { r.Entries[0].OperatorAt = time.Time{} },
		"client_reference":        func(r *Report) { r.ClientReference = "" },
		"applied_originator":      func(r *Report) { r.AppliedOriginator = "" },
		"encoding":                func(r *Report) { r.Encoding = "" },
		"operator":                func(r *Report) { r.Operator = "" },
		"number_of_message_parts": func(r *Report) { r.Parts = 0 },
		"statuses":                func(*Report) {}, // ignored in a recipient report
		"total_message_count":     func(*Report) {},
		"price":                   func(*Report) {},
		"carrier":                 func(*Report) {},
	}
	odd := []json.RawMessage{
		raw(`null`), raw(`true`), raw(`[]`), raw(`{}`), raw(`[null,{"a":[1]}]`), raw(`{"currency":"USD","amount":1e999}`),
	}
	for _, member := range slices.Sorted(maps.Keys(forget)) {
		t.Run(member, func(t *testing.T) {
			want := recipientMembers().without(member).report(t)
			byHand := recipientMembers().report(t)
			forget[member](byHand)
			require.Equal(t, want, byHand)
			for _, value := range odd {
				require.Equal(t, want, recipientMembers().with(member, value).report(t), "%s: %s", member, value)
			}
		})
	}
}

func TestIntegers(t *testing.T) {
	for value, want := range map[string]int{
		`0`: 0, `-0`: 0, `407`: 407, `"407"`: 407, `" 407 "`: 407, `"+407"`: 407, `"0407"`: 407, `"\u0034\u00307"`: 407,
		`407.0`: 407, `4.07e2`: 407, `4070E-1`: 407, `"407.0"`: 407, `2147483647`: 2147483647, `"2147483647"`: 2147483647,
		`2147483648`: NoCode, `-2147483649`: NoCode, `9223372036854775807`: NoCode, `18446744073709551621`: NoCode,
		`"99999999999999999999999"`: NoCode, `1e400`: NoCode, `1e15`: NoCode, `9007199254740993.0`: NoCode,
		`-1`: NoCode, `-7`: NoCode, `-2147483648`: NoCode, `4.5`: NoCode, `"4.5"`: NoCode, `""`: NoCode, `" "`: NoCode,
		`"0x10"`: NoCode, `"0x1.8p1"`: NoCode, `"1_0"`: NoCode, `"1e"`: NoCode, `"NaN"`: NoCode, `"inf"`: NoCode,
		`"407x"`: NoCode,
		`"٤"`:    NoCode, `true`: NoCode, `null`: NoCode, `[407]`: NoCode, `{"code":407}`: NoCode,
	} {
		t.Run(value, func(t *testing.T) {
			require.Equal(t, want, recipientMembers().with("code", raw(value)).report(t).Entries[0].Code)
			require.Equal(t, max(want, 0), recipientMembers().with("number_of_message_parts", raw(value)).report(t).Parts)
			r := batchMembers(members{"status": "Failed", "code": raw(value), "count": raw(value)}).
				with("total_message_count", raw(value)).report(t)
			require.Equal(t, max(want, 0), r.Total)
			require.Equal(t, want, r.Entries[0].Code)
			require.Equal(t, max(want, 0), r.Entries[0].Count)
		})
	}
}

func TestTexts(t *testing.T) {
	for value, want := range map[string]string{
		`"otp/8a02"`: "otp/8a02", `""`: "", `" a "`: " a ", `"a\"b\\c\/d\n"`: "a\"b\\c/d\n", `"λ \u03bb"`: "λ λ",
		`"\ud83d\udc4b"`: "👋", `"\ud83d"`: "\ufffd", `"a\u0000b"`: "a\ufffdb",
		"\"a\xffb\"": "a\ufffdb", `"\u007f"`: "\x7f",
		`31101`: "31101", `-5`: "-5", `1.202555014e10`: "12025550140", `12025550143.0`: "12025550143", `1.5`: "1.5",
		`1e400`: "1e400", `9007199254740993.0`: "9007199254740993.0",
		`123456789012345678901234567890`: "123456789012345678901234567890",
		`true`:                           "", `null`: "", `["x"]`: "", `{"x":"y"}`: "",
	} {
		t.Run(fmt.Sprintf("%q", value), func(t *testing.T) {
			body := bytes.Replace(recipientMembers().with("client_reference", "REFERENCE").json(t),
				[]byte(`"REFERENCE"`), []byte(value), 1)
			got, err := Parse(body)
			require.NoError(t, err)
			require.Equal(t, want, got.Report.ClientReference)
		})
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	whole := strings.Repeat("λ", maxText)
	for reference, want := range map[string]string{
		strings.Repeat("x", maxText): strings.Repeat("x", maxText), strings.Repeat("x", 1<<20): strings.Repeat("x", maxText),
		whole: whole, whole + "λ": whole,
	} {
		r := recipientMembers().with("client_reference", reference).with("operator", reference).with("encoding", reference).
			with("applied_originator", reference).report(t)
		for _, got := range []string{r.ClientReference, r.Operator, r.Encoding, r.AppliedOriginator} {
			require.True(t, got == want && utf8.ValidString(got), "%d bytes became %d", len(reference), len(got))
		}
	}
}

func TestIDsAreOpaque(t *testing.T) {
	for _, id := range []string{
		"01JHFFHQ0P99JPPNQPJDV7JTBP", "3-mbA7z9wDKY76ag", "5Z8QsIRsk86f-jHB", "dxCJTlfb1UsF", "9dfn32n423kljklj234",
		"01FC66621XXXXX119Z8PMV1QPQ", "01W4FFL35P4NC4K35SMSBATCH1", "4b1d4bc4-2a3e-4f0a-9d8e-6a5b4c3d2e1f", "abc", "ABC",
		strings.Repeat("7", MaxBatchID),
	} {
		require.Equal(t, id, recipientMembers().with("batch_id", id).report(t).BatchID)
	}
	require.Equal(t, "4711", recipientMembers().with("batch_id", 4711).report(t).BatchID)
}

func TestARecipientKeepsItsSpelling(t *testing.T) {
	for value, want := range map[string]string{
		`"447700900133"`: "447700900133", `"+447700900133"`: "+447700900133", `"00447700900133"`: "00447700900133",
		`"+44 (7700) 900-133"`: "+44 (7700) 900-133", `"54321"`: "54321", `447700900133`: "447700900133",
		`4.47700900133e11`: "447700900133", `"group"`: "group",
	} {
		require.Equal(t, []string{want}, recipientMembers().with("recipient", raw(value)).report(t).Entries[0].Recipients)
	}
}

func TestRecipientsOfAnEntry(t *testing.T) {
	for value, want := range map[string][]string{
		`null`: nil, `[]`: nil, `{}`: nil, `5`: nil, `"447700900133"`: nil, `[null,"",{},[],["1"],true," + "]`: nil,
		`["+447700900133","12025550143"]`:            {"+447700900133", "12025550143"},
		`[null,"447700900133",12025550143,[],"",{}]`: {"447700900133", "12025550143"},
		`["` + strings.Repeat("7", 65) + `","1"]`:    {"1"},
	} {
		for _, count := range []string{"3", "null"} {
			r := batchMembers(
				members{"status": "Failed", "code": 60, "count": raw(count), "recipients": raw(value)},
				members{"status": "Delivered", "code": 0, "count": 1, "recipients": []string{"46701740607"}},
			).report(t)
			wantCount := 3
			if count == "null" {
				wantCount = len(want)
			}
			require.Equal(t, []Entry{
				{State: State{Status: Failed, Code: 60}, Count: wantCount, Recipients: want},
				{State: State{Status: Delivered}, Count: 1, Recipients: []string{"46701740607"}},
			}, r.Entries, "%s", value)
		}
	}
}

func TestAByteOrderMarkAndWhiteSpaceAreIgnored(t *testing.T) {
	body := string(recipientMembers().json(t))
	for _, b := range []string{"\xef\xbb\xbf" + body, "\n\t " + body + "\r\n", "\xef\xbb\xbf \n" + body} {
		got, err := Parse([]byte(b))
		require.NoError(t, err)
		require.Equal(t, recipientMembers().report(t), got.Report)
	}
}

func TestDeepUnknownMembersAreSkipped(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 4_000) + strings.Repeat("]}", 4_000)
	require.Equal(t, recipientMembers().report(t), recipientMembers().with("x", raw(deep)).report(t))
}

func TestAReportDoesNotShareMemoryWithTheBody(t *testing.T) {
	body := recipientMembers().json(t)
	got, err := Parse(body)
	require.NoError(t, err)
	for i := range body {
		body[i] = 'x'
	}
	require.Equal(t, recipientMembers().report(t), got.Report)
}

func TestTotals(t *testing.T) {
	require.Equal(t, 15231, batchMembers([]any{}...).with("total_message_count", "15231").report(t).Total)
	require.Zero(t, batchMembers().with("statuses", []any{}).with("total_message_count", nil).report(t).Total)
	require.Equal(t, 1, recipientMembers().with("total_message_count", 7).report(t).Total)
}

func TestTypes(t *testing.T) {
	require.Len(t, Types(), 7)
	for _, typ := range Types() {
		require.True(t, typ.Known())
		kinds := []bool{typ.Batch(), typ.Recipient(), typ.Inbound()}
		slices.SortFunc(kinds, func(a, b bool) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		require.Equal(t, []bool{false, false, true}, kinds, typ)
	}
	require.False(t, Type("mo_video").Known())
	require.False(t, Type("").Known())
}

func TestTheTimeOfAReport(t *testing.T) {
	require.Equal(t, at("2025-08-18 10:02:19.531"), recipientMembers().report(t).At())
	require.Zero(t, batchMembers(members{"status": "Failed"}).report(t).At())
	require.Zero(t, (&Report{}).At())
}
