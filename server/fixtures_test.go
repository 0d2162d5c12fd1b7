package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// recipient is a recipient in the format of the API.
type recipient struct {
	Number string
	State  struct {
		Status     string
		Code       *int
		At         string
		OperatorAt string `json:"operator_at"`
	}
	Reports []struct {
		Status  string
		Repeats int
		Effect  string
		Raw     json.RawMessage
	}
}

// TestRecipientReports posts each recipient report of the fixtures and compares the recipient in the API.
func TestRecipientReports(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		file, batch, number string // of the report, as in the API's path
		status              string
		code                int
		at, operatorAt      string
	}{
		{
			"cb-rdr-sms-delivered.json", "01K2S9A1V5K3C8MEX7RQ0YBD4W", "447700900133", "Delivered", 0,
			"2025-08-18T10:02:19.531Z", "2025-08-18T10:02:00.000Z",
		},
		{
			"cb-rdr-sms-delivered-all-fields.json", "01K2SAX0Q9F2T6N8H4ZVMB7JCE", "12025550171", "Delivered", 0,
			"2025-08-18T11:40:03.207Z", "2025-08-18T11:40:01.000Z",
		},
		{
			"cb-rdr-sms-failed-code0-plus.json", "01K2SBD7W3Y0R5GQ8K1NCTE6XM", "12025550172", "Failed", 0,
			"2025-08-18T11:41:00.000Z", "",
		},
		{
			"cb-rdr-sms-expired-offset.json", "01K2SC2M8JX4V6E9T0HBQZ7DKA", "46701740612", "Expired", 153,
			"2025-08-21T12:05:09.120Z", "2025-08-21T12:05:00.000Z",
		},
		{
			"cb-rdr-sms-nanos.json", "01K2SCN6TEB1Z9Q4X7W0MK3VRH", "46701740613", "Failed", 60, "2025-08-18T12:00:00.123Z",
			"2025-08-18T11:59:58.999Z",
		},
		{
			"cb-rdr-sms-new-status.json", "01K2SD0YK5P8M3C7E2ZTX9WQBJ", "12025550175", "Deferred", 4711,
			"2025-08-18T12:10:44.900Z", "",
		},
		{
			"cb-rdr-mms-rejected.json", "01K2R5C8N4H7XEW2MZD0QJ9TVA", "12025550162", "Rejected", 415,
			"2025-08-18T12:30:18.005Z", "2025-08-18T12:30:15.000Z",
		},
	} {
		t.Run(c.file, func(t *testing.T) {
			body := fixtures.Read(t, c.file)
			require.Equal(t, http.StatusOK, w.callback(body))
			for _, asked := range []string{c.number, "+" + c.number, "%2B" + c.number} {
				var r recipient
				w.read("/api/v1/plans/"+plan+"/batches/"+c.batch+"/recipients/"+asked, &r)
				assert.Equal(t, c.status, r.State.Status)
				require.NotNil(t, r.State.Code)
				assert.Equal(t, c.code, *r.State.Code)
				assert.Equal(t, c.at, r.State.At)
				assert.Equal(t, c.operatorAt, r.State.OperatorAt)
				require.Len(t, r.Reports, 1)
				assert.JSONEq(t, string(body), string(r.Reports[0].Raw))
			}
		})
	}
}

// TestBatchReports posts each batch report of the fixtures twice and compares the batch in the API.
func TestBatchReports(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		file, batch string
		total       int
		counts      map[string]int
		named       map[string]int
	}{
		{
			"cb-dr-sms-summary.json", "01K2QH7M3R8ZC5TNV0E4WXJ6AD", 5,
			map[string]int{"Delivered": 4, "Failed": 1},
			map[string]int{},
		},
		{
			"cb-dr-sms-full.json", "01K2QHBT0F9G2KSY7P3M1DQX8R", 4,
			map[string]int{"Delivered": 2, "Aborted": 1, "Cancelled": 1},
			map[string]int{"Delivered": 2, "Aborted": 1, "Cancelled": 1},
		},
		{"cb-dr-sms-empty.json", "01K2R04WZ6E8J1CTANH5VB3M2P", 0, map[string]int{}, map[string]int{}},
		{
			"cb-dr-sms-count-mismatch.json", "01K2R1PGV7Y3KD0M9XQ4S6T8FJ", 3,
			map[string]int{"Delivered": 3, "Failed": 1},
			map[string]int{},
		},
		{
			"cb-dr-sms-full-odd.json", "4T9xLm-Qw_82aZbK", 6,
			map[string]int{"Rejected": 2, "Expired": 1, "Delivered": 1, "Quarantined": 1},
			map[string]int{"Rejected": 2, "Delivered": 1, "Quarantined": 1},
		},
		{
			"cb-dr-mms-full.json", "01K2R5C8N4H7XEW2MZD0QJ9TVA", 2,
			map[string]int{"Delivered": 1, "Failed": 1},
			map[string]int{"Delivered": 1, "Failed": 1},
		},
	} {
		t.Run(c.file, func(t *testing.T) {
			require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, c.file)))
			require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, c.file)), "a duplicate")
			b := w.batch(c.batch)
			assert.Equal(t, c.total, b.Total)
			assert.Equal(t, c.counts, b.Counts)
			assert.Equal(t, c.named, b.RecipientsByStatus)
		})
	}
}

// TestReorderedAndDuplicateReports posts Dispatched and Delivered of one recipient in either order, each twice.
func TestReorderedAndDuplicateReports(t *testing.T) {
	const early, late = "cb-rdr-sms-dispatched.json", "cb-rdr-sms-delivered.json"
	for name, order := range map[string][]string{
		"in order":  {early, late, early, late},
		"reordered": {late, early, late, early},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			for _, file := range order {
				require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, file)))
			}
			var r recipient
			w.read("/api/v1/plans/"+plan+"/batches/01K2S9A1V5K3C8MEX7RQ0YBD4W/recipients/447700900133", &r)
			assert.Equal(t, "Delivered", r.State.Status)
			require.Len(t, r.Reports, 2)
			for _, report := range r.Reports {
				assert.Equal(t, 1, report.Repeats)
				assert.Equal(t, report.Status == "Delivered", report.Effect == "holds", "%+v", report)
			}
			var stats struct {
				Plans []struct{ Duplicates, Recipients int }
			}
			w.read("/api/v1/stats", &stats)
			assert.Equal(t, 2, stats.Plans[0].Duplicates)
			assert.Equal(t, 1, stats.Plans[0].Recipients)
		})
	}
}

// TestCallbacksThatAreNotReports posts inbound messages, which are acknowledged and not stored, and a callback of an
// unknown type, which is quarantined unchanged.
func TestCallbacksThatAreNotReports(t *testing.T) {
	w := newWorld(t, nil)
	for _, file := range []string{"cb-mo-text.json", "cb-mo-binary.json", "cb-mo-media.json", "cb-unknown-type.json"} {
		require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, file)), file)
	}
	var batches, quarantine struct {
		Items []struct{ Raw json.RawMessage }
	}
	w.read("/api/v1/batches", &batches)
	assert.Empty(t, batches.Items)
	w.read("/api/v1/quarantine", &quarantine)
	require.Len(t, quarantine.Items, 1)
	assert.JSONEq(t, string(fixtures.Read(t, "cb-unknown-type.json")), string(quarantine.Items[0].Raw))
	for _, line := range []string{
		`dlrloop_callbacks_total{outcome="inbound",plan="plan-a",type="mo_text"} 1`,
		`dlrloop_callbacks_total{outcome="inbound",plan="plan-a",type="mo_binary"} 1`,
		`dlrloop_callbacks_total{outcome="inbound",plan="plan-a",type="mo_media"} 1`,
		`dlrloop_quarantine_entries 1`, // a gauge that may be some seconds old
	} {
		w.eventually(line, func() bool {
			_, metrics := w.get("/metrics")
			return strings.Contains(string(metrics), line+"\n")
		})
	}
}

// TestEveryFixture posts every fixture. It fails if a fixture was added without a case in the tests above.
func TestEveryFixture(t *testing.T) {
	files := fixtures.Names(t, "cb-*.json")
	w := newWorld(t, nil)
	for _, file := range files {
		assert.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, file)), file)
	}
	assert.Len(t, slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "cb-mo-") }), 15)
}
