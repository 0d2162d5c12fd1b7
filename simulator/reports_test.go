package simulator

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBatchReportCanBeReadAtAnyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Pace: time.Second}).run()
		require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Failed", Code: 153}))
		require.NoError(t, u.sim.SetOutcome("12025550002", Outcome{Status: "Failed", Code: 0}))
		id := u.send(map[string]any{"to": numbers(3)})
		read := func(query string) string {
			h := u.call(http.MethodGet, "/batches/"+id+"/delivery_report"+query, "")
			require.Equal(t, http.StatusOK, h.status, h.body)
			var r struct{ Statuses json.RawMessage }
			require.NoError(t, json.Unmarshal([]byte(h.body), &r))
			require.Contains(t, h.body, `"total_message_count":3,"type":"delivery_report_sms"`)
			return string(r.Statuses)
		}
		require.Equal(t, `[{"code":400,"count":3,"status":"Queued"}]`, read(""))
		time.Sleep(1500 * time.Millisecond)
		require.Equal(t, `[{"code":401,"count":3,"status":"Dispatched"}]`, read("?type=summary"))
		u.settle()
		for query, want := range map[string]string{
			"": `[{"code":0,"count":1,"status":"Delivered"},{"code":0,"count":1,` +
				`"status":"Failed"},{"code":153,"count":1,"status":"Failed"}]`,
			"?type=full": `[{"code":0,"count":1,"recipients":["12025550000"],` +
				`"status":"Delivered"},{"code":0,"count":1,"recipients":["12025550002"],"status":"Failed"},` +
				`{"code":153,"count":1,"recipients":["12025550001"],"status":"Failed"}]`,
			"?status=DELIVERED,expired":       `[{"code":0,"count":1,"status":"Delivered"}]`,
			"?status=Failed&code=0":           `[{"code":0,"count":1,"status":"Failed"}]`,
			"?code=0,153&type=full&status=de": `[]`,
			"?code=153,402":                   `[{"code":153,"count":1,"status":"Failed"}]`,
		} {
			require.Equal(t, want, read(query), query)
		}
	})
}

func TestStatusesOfReportReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(1)})
		for path, status := range map[string]int{
			"/batches/none/delivery_report":                    404,
			"/batches/" + id + "/delivery_report?type=long":    404,
			"/batches/" + id + "/delivery_report?code=x":       400,
			"/batches/none/delivery_report/12025550000":        404,
			"/batches/" + id + "/delivery_report/12025550001":  404,
			"/batches/" + id + "/delivery_report/me":           404,
			"/batches/" + id + "/delivery_report/+12025550000": 200,
			"/delivery_reports?page=-1":                        400,
			"/delivery_reports?page=x":                         400,
			"/delivery_reports?page_size=0":                    400,
			"/delivery_reports?page_size=101":                  400,
			"/delivery_reports?start_date=soon":                400,
			"/delivery_reports?code=x":                         400,
			"/delivery_reports?page=99":                        200,
		} {
			require.Equal(t, status, u.call(http.MethodGet, path, "").status, path)
		}
	})
}

func TestRecipientReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Pace: time.Second}).run()
		id := u.send(map[string]any{"to": []string{"12025550143"}, "client_reference": "r"})
		for _, number := range []string{"12025550143", "+12025550143", "%2B12025550143"} {
			h := u.call(http.MethodGet, "/batches/"+id+"/delivery_report/"+number, "")
			require.Equal(t, `{"at":"2000-01-01T00:00:00.000Z","batch_id":"`+id+`","client_reference":"r","code":400,`+
				`"recipient":"12025550143","status":"Queued","type":"recipient_delivery_report_sms"}`, h.body)
		}
		u.settle()
		h := u.call(http.MethodGet, "/batches/"+id+"/delivery_report/12025550143", "")
		require.Equal(t, `{"at":"2000-01-01T00:00:02.000Z","batch_id":"`+id+`","client_reference":"r","code":0,`+
			`"operator_status_at":"2000-01-01T00:00:00Z","recipient":"12025550143","status":"Delivered",`+
			`"type":"recipient_delivery_report_sms"}`, h.body)
	})
}

func TestListOfReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Pace: time.Second}).run()
		require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Failed", Code: 153}))
		first := u.send(map[string]any{"to": numbers(3), "client_reference": "a b"})
		u.settle()
		time.Sleep(time.Hour)
		second := u.send(map[string]any{
			"to": numbers(2), "type": "mt_media",
			"body": map[string]string{"url": "http://x/y"},
		})
		u.settle()
		u.send(map[string]any{"to": numbers(5), "send_at": time.Now().Add(time.Hour)}) // not dispatched

		list := func(query string) (page reportList) {
			h := u.call(http.MethodGet, "/delivery_reports"+query, "")
			require.Equal(t, http.StatusOK, h.status, h.body)
			require.NoError(t, json.Unmarshal([]byte(h.body), &page))
			return page
		}
		all := list("")
		require.Equal(t, []int{5, 0, 5}, []int{all.Count, all.Page, all.Size})
		require.Equal(t, second, all.Reports[0].BatchID, "newest first")
		require.Equal(t, "recipient_delivery_report_mms", all.Reports[0].Type)
		require.Equal(t, first, all.Reports[4].BatchID)

		page := list("?page=1&page_size=3")
		require.Equal(t, []int{5, 1, 2}, []int{page.Count, page.Page, page.Size})
		require.Equal(t, all.Reports[3:], page.Reports)
		past := list("?page=7")
		require.Equal(t, []int{5, 7, 0}, []int{past.Count, past.Page, past.Size})
		require.NotNil(t, past.Reports)

		for query, count := range map[string]int{
			"?status=failed":                         2,
			"?code=0":                                3,
			"?client_reference=a+b":                  3,
			"?client_reference=a":                    0,
			"?start_date=2000-01-01T00:30:00Z":       2,
			"?start_date=2000-01-01T02:30:00+02:00":  2, // unescaped plus sign
			"?end_date=2000-01-01T00:00:02.001Z":     3,
			"?end_date=2000-01-01T00:00:02.000Z":     0, // exclusive
			"?start_date=2000-01-01T00:00:02.000":    5, // inclusive
			"?start_date=1999-12-31&end_date=2000-1": -1,
		} {
			if count < 0 {
				require.Equal(t, http.StatusBadRequest, u.call(http.MethodGet, "/delivery_reports"+query, "").status,
					query)
				continue
			}
			require.Equal(t, count, list(query).Count, query)
		}
		time.Sleep(23*time.Hour + 30*time.Minute)
		require.Equal(t, 5+2, list("").Count, "reports older than a day must not be listed")
	})
}

// reportList is a page of recipient reports.
type reportList struct {
	Count   int
	Page    int
	Size    int `json:"page_size"`
	Reports []struct {
		BatchID   string `json:"batch_id"`
		Type      string
		Recipient string
	} `json:"delivery_reports"`
}
