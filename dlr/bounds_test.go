package dlr

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// batchBody returns a batch report of n identical entries.
func batchBody(n int, entry string) []byte {
	list := strings.TrimSuffix(strings.Repeat(entry+",", n), ",")
	return []byte(`{"type":"delivery_report_sms","statuses":[` + list + `],"batch_id":"x"}`)
}

// allocated returns how many bytes f allocates, including memory it frees.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestRejectedEntriesAreNotAllocated(t *testing.T) {
	for _, c := range []struct {
		name   string
		body   []byte
		reason Reason
		most   uint64 // bytes
	}{
		{"empty entries", batchBody(100_000, `{}`), NoStatus, 64 << 10},
		{"entries that are not objects", batchBody(100_000, `[]`), NoStatus, 64 << 10},
		{"valid entries", batchBody(50_000, `{"status":"Failed"}`), TooManyStatuses, 8 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			spent := allocated(func() { _, err = Parse(c.body) })
			var fault *ParseError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, c.reason, fault.Reason)
			require.Equal(t, BatchSMS, fault.Type)
			require.Less(t, spent, c.most)
		})
	}
}

func TestTheNumberOfEntriesIsLimited(t *testing.T) {
	got, err := Parse(batchBody(maxStatuses, `{"status":"Failed"}`))
	require.NoError(t, err)
	require.Len(t, got.Report.Entries, maxStatuses)

	_, err = Parse(batchBody(maxStatuses+1, `{"status":"Failed"}`))
	require.EqualError(t, err, "delivery_report_sms: too many statuses")

	body := strings.Replace(string(batchBody(5000, `{}`)), `"delivery_report_sms"`, `"mo_text","id":"mo"`, 1)
	got, err = Parse([]byte(body))
	require.NoError(t, err, "the statuses of an inbound message are ignored")
	require.Equal(t, Callback{Type: MOText, Inbound: &Inbound{Type: MOText, ID: "mo"}}, got)
}

func TestAnEntryHoldsAllItsRecipients(t *testing.T) {
	const n = 20_000
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprintf("44770%07d", i)
	}
	r := batchMembers(members{"status": "Delivered", "recipients": want}).report(t)
	require.Equal(t, []Entry{{State: State{Status: Delivered, Code: NoCode}, Count: n, Recipients: want}}, r.Entries)
}

func numbersBody(n int, number string) []byte {
	return batchBody(1, `{"status":"Delivered","recipients":[`+strings.TrimSuffix(strings.Repeat(number+",", n), ",")+`]}`)
}

func TestManyRecipientsUseLittleMoreThanTheirText(t *testing.T) {
	body := numbersBody(20_000, `"447700900101"`)
	var got Callback
	spent := allocated(func() { got, _ = Parse(body) })
	require.Len(t, got.Report.Entries[0].Recipients, 20_000)
	require.Less(t, spent, uint64(len(body)+20_000*17), "a copy of the text and a string header for each number")
}

func TestElementsThatAreNotNumbersUseNoMemory(t *testing.T) {
	body := numbersBody(100_000, `{}`)
	require.Less(t, allocated(func() { _, _ = Parse(body) }), uint64(2*len(body)))

	got, err := Parse([]byte(strings.Replace(string(body), `[{}`, `["447700900101"`, 1)))
	require.NoError(t, err)
	require.Equal(t, []string{"447700900101"}, got.Report.Entries[0].Recipients)
	require.Equal(t, 1, cap(got.Report.Entries[0].Recipients))
}

func TestTheNumberOfRecipientsIsLimited(t *testing.T) {
	const most = 4
	for statuses, want := range map[string]Reason{
		`[{"status":"Failed","recipients":["1","2","3","4"]}]`:                                         "",
		`[{"status":"Failed","recipients":["1","2","3","4",{},""]}]`:                                   "",
		`[{"status":"Failed","recipients":["1","2","3","4","5"]}]`:                                     TooManyRecipients,
		`[{"status":"Failed","recipients":["1","2","3"]},{"status":"Expired","recipients":["1"]}]`:     "",
		`[{"status":"Failed","recipients":["1","2","3"]},{"status":"Expired","recipients":["1","2"]}]`: TooManyRecipients,
	} {
		entries, reason := readEntries([]byte(statuses), most)
		require.Equal(t, want, reason, statuses)
		require.Equal(t, want == "", entries != nil)
	}
	require.EqualError(t, &ParseError{Reason: TooManyRecipients, Type: BatchSMS},
		"delivery_report_sms: too many recipients")
}

func TestElementsOfAList(t *testing.T) {
	for list, want := range map[string][]string{
		`[]`:                          nil,
		" [ \n ] ":                    nil,
		`[1]`:                         {`1`},
		" [ 1 ,\t2\r\n, null ] ":      {`1`, `2`, `null`},
		`[[1,2],{"a":[3,{"b":4}]},5]`: {`[1,2]`, `{"a":[3,{"b":4}]}`, `5`},
		`["a,b","]","\"","\\",",\\"]`: {`"a,b"`, `"]"`, `"\""`, `"\\"`, `",\\"`},
		`[{"}":"{,"},["[,\\\","],""]`: {`{"}":"{,"}`, `["[,\\\","]`, `""`},
	} {
		var got []string
		trimmed := strings.TrimSpace(list)
		for at, element := range elements([]byte(trimmed)) {
			require.Equal(t, string(element), trimmed[at:at+len(element)], list)
			got = append(got, string(element))
		}
		require.Equal(t, want, got, list)
	}
}

func TestTheLastOfTwoListsCounts(t *testing.T) {
	for body, want := range map[string][]Entry{
		`"statuses":[{}],"statuses":[{"status":"Failed"}]`: {
			{State: State{Status: Failed, Code: NoCode}},
		},
		`"statuses":[{"status":"Failed","code":3,"count":2}],"statuses":[{"status":"Failed"}]`: {
			{State: State{Status: Failed, Code: NoCode}},
		},
		`"statuses":[{"status":"Failed","recipients":["1","2"],"recipients":["3"]}]`: {
			{State: State{Status: Failed, Code: NoCode}, Count: 1, Recipients: []string{"3"}},
		},
	} {
		got, err := Parse([]byte(`{"type":"delivery_report_sms","batch_id":"x",` + body + `}`))
		require.NoError(t, err, body)
		require.Equal(t, want, got.Report.Entries, body)
	}
}
