package dlr

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// at parses a UTC time such as 2025-08-19 16:21:00.000, without using ParseTime.
func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05.000", s, time.UTC)
	if err != nil {
		panic(err)
	}
	return t
}

func recipientEntry(number string, s State) []Entry {
	return []Entry{{State: s, Count: 1, Recipients: []string{number}}}
}

func TestParseFixtures(t *testing.T) {
	type want struct {
		name    string
		typ     Type
		report  *Report
		inbound *Inbound
		reason  Reason
	}
	cases := []want{
		{name: "cb-dr-sms-summary.json", typ: BatchSMS, report: &Report{
			Type: BatchSMS, BatchID: "01K2QH7M3R8ZC5TNV0E4WXJ6AD", ClientReference: "invoice-run-2025-08", Total: 5,
			Entries: []Entry{
				{State: State{Status: Delivered, Code: 0}, Count: 4},
				{State: State{Status: Failed, Code: 153}, Count: 1},
			},
		}},
		{name: "cb-dr-sms-full.json", typ: BatchSMS, report: &Report{
			Type: BatchSMS, BatchID: "01K2QHBT0F9G2KSY7P3M1DQX8R", ClientReference: "otp/7f31", Total: 4,
			Entries: []Entry{
				{State: State{Status: Delivered, Code: 0}, Count: 2, Recipients: []string{"12025550143", "447700900118"}},
				{State: State{Status: Aborted, Code: 405}, Count: 1, Recipients: []string{"46701740607"}},
				{State: State{Status: Cancelled, Code: 407}, Count: 1, Recipients: []string{"12025550199"}},
			},
		}},
		{name: "cb-dr-sms-full-odd.json", typ: BatchSMS, report: &Report{
			Type: BatchSMS, BatchID: "4T9xLm-Qw_82aZbK", Total: 6,
			Entries: []Entry{
				{State: State{Status: Rejected, Code: 14}, Count: 2, Recipients: []string{"+447700900121", "+447700900122"}},
				{State: State{Status: Expired, Code: 14}, Count: 1},
				{State: State{Status: Delivered, Code: 0}, Count: 1, Recipients: []string{"+12025550155"}},
				{State: State{Status: "Quarantined", Code: 2004}, Count: 1, Recipients: []string{"+12025550156"}},
			},
		}},
		{name: "cb-dr-sms-empty.json", typ: BatchSMS, report: &Report{
			Type: BatchSMS, BatchID: "01K2R04WZ6E8J1CTANH5VB3M2P", Entries: []Entry{},
		}},
		{name: "cb-dr-sms-count-mismatch.json", typ: BatchSMS, report: &Report{
			Type: BatchSMS, BatchID: "01K2R1PGV7Y3KD0M9XQ4S6T8FJ", Total: 3,
			Entries: []Entry{
				{State: State{Status: Delivered, Code: 0}, Count: 3},
				{State: State{Status: Failed, Code: 18}, Count: 1},
			},
		}},
		{name: "cb-dr-mms-full.json", typ: BatchMMS, report: &Report{
			Type: BatchMMS, BatchID: "01K2R5C8N4H7XEW2MZD0QJ9TVA", ClientReference: "mms-flyer-12", Total: 2,
			Entries: []Entry{
				{State: State{Status: Delivered, Code: 0}, Count: 1, Recipients: []string{"12025550160"}},
				{State: State{Status: Failed, Code: 417}, Count: 1, Recipients: []string{"12025550161"}},
			},
		}},
		{name: "cb-rdr-sms-dispatched.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2S9A1V5K3C8MEX7RQ0YBD4W", ClientReference: "otp/8a02", Total: 1,
			Entries: recipientEntry("447700900133", State{Status: Dispatched, Code: 401, At: at("2025-08-18 10:02:11.870")}),
		}},
		{name: "cb-rdr-sms-delivered.json", typ: RecipientSMS, report: deliveredFixture()},
		{name: "cb-rdr-sms-delivered-all-fields.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2SAX0Q9F2T6N8H4ZVMB7JCE", ClientReference: "batch λ #9", Total: 1,
			Entries: recipientEntry("12025550171", State{
				Status: Delivered, Code: 0, At: at("2025-08-18 11:40:03.207"), OperatorAt: at("2025-08-18 11:40:01.000"),
			}),
			AppliedOriginator: "12025550100", Encoding: "UNICODE", Operator: "310260", Parts: 3,
		}},
		{name: "cb-rdr-sms-failed-code0-plus.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2SBD7W3Y0R5GQ8K1NCTE6XM", Total: 1,
			Entries: recipientEntry("+12025550172", State{Status: Failed, Code: 0, At: at("2025-08-18 11:41:00.000")}),
		}},
		{name: "cb-rdr-sms-expired-offset.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2SC2M8JX4V6E9T0HBQZ7DKA", Total: 1,
			Entries: recipientEntry("46701740612", State{
				Status: Expired, Code: 153, At: at("2025-08-21 12:05:09.120"), OperatorAt: at("2025-08-21 12:05:00.000"),
			}),
		}},
		{name: "cb-rdr-sms-nanos.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2SCN6TEB1Z9Q4X7W0MK3VRH", Total: 1,
			Entries: recipientEntry("46701740613", State{
				Status: Failed, Code: 60, At: at("2025-08-18 12:00:00.123"), OperatorAt: at("2025-08-18 11:59:58.999"),
			}),
		}},
		{name: "cb-rdr-sms-new-status.json", typ: RecipientSMS, report: &Report{
			Type: RecipientSMS, BatchID: "01K2SD0YK5P8M3C7E2ZTX9WQBJ", Total: 1,
			Entries: recipientEntry("12025550175", State{Status: "Deferred", Code: 4711, At: at("2025-08-18 12:10:44.900")}),
		}},
		{name: "cb-rdr-mms-rejected.json", typ: RecipientMMS, report: &Report{
			Type: RecipientMMS, BatchID: "01K2R5C8N4H7XEW2MZD0QJ9TVA", Total: 1,
			Entries: recipientEntry("12025550162", State{
				Status: Rejected, Code: 415, At: at("2025-08-18 12:30:18.005"), OperatorAt: at("2025-08-18 12:30:15.000"),
			}),
		}},
		{name: "cb-mo-text.json", typ: MOText, inbound: &Inbound{
			Type: MOText, ID: "01K2SEJ4R7X0VQ8D3HTM6BKCYZ", From: "12025550180", To: "54321", Text: "STOP – thanks 👋",
			Operator: "310260", SentAt: at("2025-08-18 13:00:39.000"), ReceivedAt: at("2025-08-18 13:00:41.662"),
		}},
		{name: "cb-mo-binary.json", typ: MOBinary, inbound: &Inbound{
			Type: MOBinary, ID: "01K2SEM0Z2W9T5YC7QXJ4R8HDK", From: "447700900140", To: "447700900001",
			ReceivedAt: at("2025-08-18 13:02:00.000"),
		}},
		{name: "cb-mo-media.json", typ: MOMedia, inbound: &Inbound{
			Type: MOMedia, ID: "01K2SEP3B6N8K1MZ0VDT7XQ5CW", From: "+12025550181", To: "12025550100",
			ClientReference: "mms-flyer-12", ReceivedAt: at("2025-08-18 13:05:12.431"),
		}},
		{name: "cb-unknown-type.json", typ: "batch_price_report_sms", reason: UnknownType},
		{name: "req-send-text-feedback-group.json", typ: "mt_text", reason: UnknownType},
	}
	// The other bodies of Sinch's API are not callbacks: they have no type.
	for _, name := range []string{
		"err-400-constraint.json", "err-400-spring.json", "err-403-dispatched.json", "err-403-unknown-group.json",
		"req-dry-run.json", "req-feedback-all.json", "req-feedback.json", "req-replace.json", "req-update.json",
		"res-delivery-report-list-200.json", "res-dry-run-200.json", "res-list-200.json", "sig-example.json",
	} {
		cases = append(cases, want{name: name, reason: NoType})
	}
	for _, name := range []string{"res-cancel-200.json", "res-send-text-201.json"} {
		cases = append(cases, want{name: name, typ: "mt_text", reason: UnknownType})
	}

	tested := map[string]bool{}
	for _, c := range cases {
		tested[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(fixtures.Read(t, c.name))
			if c.reason == "" {
				require.NoError(t, err)
			} else {
				var fault *ParseError
				require.ErrorAs(t, err, &fault)
				require.Equal(t, c.reason, fault.Reason)
				require.Equal(t, c.typ, fault.Type)
			}
			require.Equal(t, Callback{Type: c.typ, Report: c.report, Inbound: c.inbound}, got)
		})
	}
	require.Len(t, tested, len(fixtures.Names(t, "*.json")), "every fixture is in the table")
}

func deliveredFixture() *Report {
	return &Report{
		Type: RecipientSMS, BatchID: "01K2S9A1V5K3C8MEX7RQ0YBD4W", ClientReference: "otp/8a02", Total: 1,
		Entries: recipientEntry("447700900133", State{
			Status: Delivered, Code: 0, At: at("2025-08-18 10:02:19.531"), OperatorAt: at("2025-08-18 10:02:00.000"),
		}),
	}
}

// signedBody returns a recipient report as Sinch sends it, without white space.
func signedBody(t testing.TB) []byte {
	t.Helper()
	var signed struct{ Body string }
	require.NoError(t, json.Unmarshal(fixtures.Read(t, "sig-example.json"), &signed))
	return []byte(signed.Body)
}

func TestTheSignedBodyIsTheDeliveredReport(t *testing.T) {
	got, err := Parse(signedBody(t))
	require.NoError(t, err)
	require.Equal(t, deliveredFixture(), got.Report)
}

func TestListedReportsAreParsedLikeCallbacks(t *testing.T) {
	var page struct {
		Reports []json.RawMessage `json:"delivery_reports"`
	}
	require.NoError(t, json.Unmarshal(fixtures.Read(t, "res-delivery-report-list-200.json"), &page))
	require.Len(t, page.Reports, 2)
	for i, want := range []*Report{
		deliveredFixture(),
		{
			Type: RecipientMMS, BatchID: "01K2R5C8N4H7XEW2MZD0QJ9TVA", Total: 1,
			Entries: recipientEntry("12025550162", State{Status: Rejected, Code: 415, At: at("2025-08-18 12:30:18.005")}),
		},
	} {
		got, err := Parse(page.Reports[i])
		require.NoError(t, err)
		require.Equal(t, want, got.Report)
	}
}

func TestEveryTruncatedFixtureIsNotJSON(t *testing.T) {
	body := bytes.TrimSpace(fixtures.Read(t, "cb-dr-sms-full-odd.json"))
	for n := range body {
		_, err := Parse(body[:n])
		var fault *ParseError
		require.ErrorAs(t, err, &fault, "cut at %d", n)
		require.Equal(t, NotJSON, fault.Reason, "cut at %d", n)
	}
}
