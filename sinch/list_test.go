package sinch

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestBatchesQuery(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-list-200.json")))
	query := BatchesQuery{
		PageSize: 100, From: []string{"+12025550100", "My Shop"}, ClientReference: "a&b=c+d é",
		Start: time.Date(2025, 8, 19, 18, 0, 0, 123456789, time.FixedZone("", 7200)),
		End:   time.Date(2025, 8, 20, 0, 0, 0, 0, time.UTC),
	}
	var first *Batch
	for b, err := range u.client(t).Batches(t.Context(), query) {
		require.NoError(t, err)
		first = b
		break
	}
	require.Equal(t, testBatch, first.ID)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches?client_reference=a%26b%3Dc%2Bd+%C3%A9"+
		"&end_date=2025-08-20T00%3A00%3A00.000Z"+
		"&from=%2B12025550100%2CMy+Shop&page=0&page_size=100&start_date=2025-08-19T16%3A00%3A00.123Z", u.requests()[0].URI)
}

func TestReports(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-delivery-report-list-200.json")))
	var reports []Report
	for r, err := range u.client(t).Reports(t.Context(), ReportsQuery{
		PageSize: 30, Start: noon, End: noon.Add(time.Hour),
		Statuses: []dlr.Status{dlr.Delivered, dlr.Rejected}, Codes: []int{0, 415},
		ClientReference: "otp/8a02",
	}) {
		require.NoError(t, err)
		reports = append(reports, r)
	}
	require.Equal(t, "/xms/v1/"+testPlan+"/delivery_reports?client_reference=otp%2F8a02&code=0%2C415"+
		"&end_date=2025-08-20T13%3A00%3A00.000Z"+
		"&page=0&page_size=30&start_date=2025-08-20T12%3A00%3A00.000Z&status=Delivered%2CRejected", u.requests()[0].URI)
	require.Len(t, reports, 2)
	for i, want := range []string{"01K2S9A1V5K3C8MEX7RQ0YBD4W", "01K2R5C8N4H7XEW2MZD0QJ9TVA"} {
		require.Equal(t, want, reports[i].BatchID)
		parsed, err := dlr.Parse(reports[i].Raw)
		require.NoError(t, err)
		require.Equal(t, parsed.Report, reports[i].Report)
	}
}

// One recipient may have two reports that differ in a single member.
func TestReportsThatDifferInOneMemberAreBothListed(t *testing.T) {
	report := func(code int) string {
		return fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":"b","recipient":"1",`+
			`"status":"Failed","code":%d}`, code)
	}
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		respond(http.StatusOK, fmt.Sprintf(`{"count":3,"delivery_reports":[%s]}`, report(page)))(w, r)
	})
	var codes []int
	for r, err := range u.client(t).Reports(t.Context(), ReportsQuery{PageSize: 1}) {
		require.NoError(t, err)
		codes = append(codes, r.Entries[0].Code)
	}
	require.Equal(t, []int{0, 1, 2}, codes)
}

func TestInvalidReportsOfAList(t *testing.T) {
	good := func(batch string) string {
		return `{"type":"recipient_delivery_report_sms","batch_id":"` + batch + `","recipient":"447700900101",` +
			`"code":0,"status":"Delivered"}`
	}
	for odd, want := range map[string]string{
		`{}`: "no batch id",
		`{"type":"delivery_report_sms","batch_id":"b","statuses":[]}`: " (batch b): " + errOtherKind.Error(),
		`{"type":"recipient_delivery_report_rcs","batch_id":"b"}`: " (batch b): " +
			`unknown type "recipient_delivery_report_rcs"`,
		`{"type":"mo_text","id":"x"}`:                              " (batch x): " + errOtherKind.Error(),
		`{"type":"recipient_delivery_report_sms","recipient":"1"}`: "no batch id",
		strings.Replace(good("b"), `"447700900101"`, `"`+strings.Repeat("1", 65)+`"`, 1): " (batch b): " +
			"recipient_delivery_report_sms: no recipient",
		good(strings.Repeat("b", 256)): "the batch id has more than 255 bytes",
		`7`:                            "not a JSON object",
		`null`:                         "it is null", `"text"`: "not a JSON object", `[]`: "not a JSON object",
	} {
		u := newUpstream(t,
			respond(http.StatusOK, `{"count":3,"delivery_reports":[`+good("first")+`,`+odd+`,`+good("last")+`]}`))
		var batches []string
		var unreadable []error
		for r, err := range u.client(t).Reports(t.Context(), ReportsQuery{}) {
			if err != nil {
				unreadable = append(unreadable, err)
				continue
			}
			batches = append(batches, r.BatchID)
		}
		require.Equal(t, []string{"first", "last"}, batches, odd)
		require.Len(t, unreadable, 1, odd)
		e, ok := errors.AsType[*EntryError](unreadable[0])
		require.True(t, ok, unreadable[0])
		require.Equal(t, [2]int{1, 2}, [2]int{e.Page, e.Index})
		require.ErrorContains(t, e, "sinch: list delivery reports: entry 2 of page 1")
		require.ErrorContains(t, e, want)
		require.NotContains(t, e.Error(), "447700900101")
	}
}

func TestInvalidBatchesOfAList(t *testing.T) {
	for odd, want := range map[string]string{
		`null`: "it is null", `"b"`: "it is not a JSON object",
		`7`: "it is not a JSON object", `[]`: "it is not a JSON object",
		`{"to":["447700900101"]}`: "the entry has no id", `{"id":null}`: "the entry has no id",
		`{"id":"` + strings.Repeat("b", 256) + `"}`: "the id has more than 255 bytes", `{"id":".."}`: "an id must not be",
	} {
		u := newUpstream(t,
			respond(http.StatusOK, `{"count":4,"page":0,"batches":[{"id":"BR1"},`+odd+`,`+odd+`,{"id":"BR3"}]}`))
		got, _ := ids(u.client(t).Batches(t.Context(), BatchesQuery{}))
		require.Equal(t, []string{"BR1", "!", "!", "BR3"}, got, odd)
		for _, err := range u.client(t).Batches(t.Context(), BatchesQuery{}) {
			if err != nil {
				require.ErrorAs(t, err, new(*EntryError))
				require.ErrorContains(t, err, want)
			}
		}
		require.Len(t, u.requests(), 2, "no page is fetched twice")
	}
}

func TestGetReportWithFilters(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, `{"type":"delivery_report_sms","batch_id":"`+testBatch+`","statuses":[]}`))
	_, err := u.client(t).GetReport(t.Context(), testBatch, ReportQuery{
		Kind: Full, Statuses: []dlr.Status{"Delivered", "Not & yet"}, Codes: []int{0, 405},
	})
	require.NoError(t, err)
	got, err := url.Parse(u.requests()[0].URI)
	require.NoError(t, err)
	require.Equal(t, url.Values{"type": {"full"}, "status": {"Delivered,Not & yet"}, "code": {"0,405"}}, got.Query())
}

func TestQueriesThatBreakARule(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, `{}`))
	c := u.client(t)
	hello := text(func(*TextMessage) {})
	batches := func(q BatchesQuery) error { return drain(c.Batches(t.Context(), q)) }
	reports := func(q ReportsQuery) error { return drain(c.Reports(t.Context(), q)) }
	report := func(q ReportQuery) error { _, err := c.GetReport(t.Context(), testBatch, q); return err }
	dryRun := func(q DryRunQuery) error { _, err := c.DryRun(t.Context(), hello, q); return err }
	for _, test := range []struct {
		err  error
		want string
	}{
		{batches(BatchesQuery{PageSize: 101}), "sinch: list batches: page_size: it must be between 1 and 100"},
		{batches(BatchesQuery{PageSize: -1}), "page_size: it must be between"},
		{batches(BatchesQuery{Start: noon, End: noon}), "start_date: it must be before end_date"},
		{batches(BatchesQuery{From: []string{"a", " "}}), "from[1]: it must not be blank"},
		{batches(BatchesQuery{From: []string{"a,b"}}), "from[0]: it must not be blank or contain a comma"},
		{batches(BatchesQuery{ClientReference: strings.Repeat("x", 2049)}), "client_reference: it is longer"},
		{reports(ReportsQuery{PageSize: 101}), "sinch: list delivery reports: page_size: it must be"},
		{reports(ReportsQuery{Statuses: []dlr.Status{""}}), "status[0]: it must not be blank"},
		{reports(ReportsQuery{ClientReference: strings.Repeat("x", 2049)}), "client_reference: it is longer"},
		{report(ReportQuery{Kind: "all"}), "sinch: get delivery report: type: use summary or full"},
		{report(ReportQuery{Statuses: []dlr.Status{"a,b"}}), "status[0]: it must not"},
		{dryRun(DryRunQuery{Recipients: 1001}), "sinch: dry run: number_of_recipients: it must be between 0 and 1000"},
		{dryRun(DryRunQuery{Recipients: -1}), "number_of_recipients: it must be"},
	} {
		requireInvalid(t, test.err, "")
		require.ErrorContains(t, test.err, test.want)
	}
	require.Empty(t, u.requests())
}

func TestListedBatchesAreComplete(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-list-200.json")))
	var types []Type
	for b, err := range u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}) {
		if err != nil { // the fixture is page 0 of two
			require.Equal(t, "the answer is not the requested page", requireError(t, err).Text)
			break
		}
		types = append(types, b.Type)
		if b.Type == TypeBinary {
			require.Equal(t, "0605040b8423f0", b.UDH)
			require.Equal(t, json.RawMessage(`"AGZvbwD/"`), b.Body)
		}
	}
	require.Equal(t, []Type{TypeText, TypeBinary}, types)
}
