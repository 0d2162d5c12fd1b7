package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// pages reads a list page by page and returns the given member of each item, in order. It requires that no page has
// more than limit items.
func (s server) pages(t *testing.T, address, member string, limit int) []string {
	t.Helper()
	var names []string
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	for cursor := ""; ; {
		a := s.get(t, fmt.Sprintf("%s%slimit=%d&cursor=%s", address, separator, limit, url.QueryEscape(cursor)))
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.Content)
		var page struct {
			Items      []map[string]any
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal(a.Content, &page))
		require.LessOrEqual(t, len(page.Items), limit)
		for _, item := range page.Items {
			names = append(names, fmt.Sprint(item[member]))
		}
		if page.NextCursor == "" {
			return names
		}
		require.NotEqual(t, cursor, page.NextCursor, "the cursor must advance")
		cursor = page.NextCursor
	}
}

// recordMany records n batches of acme-eu, one second apart, each with a delivered report for alice. The first batch
// also has failed reports for n-1 other numbers. It returns the batch ids and all numbers.
func recordMany(t *testing.T, s Recorder, n int) (batches, numbers []string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("b%03d", i)
		batches = append(batches, id)
		report := called(t, recipientBody(id, alice, "Delivered", 0, morning(0)))
		record(t, s, planEU, morning(time.Duration(i)*time.Second), report)
	}
	numbers = append(numbers, alice)
	for i := range n - 1 {
		number := fmt.Sprintf("4477009010%02d", i)
		numbers = append(numbers, number)
		report := called(t, recipientBody(batches[0], number, "Failed", 1, morning(0)))
		record(t, s, planEU, morning(time.Duration(n+i)*time.Second), report)
	}
	return batches, numbers
}

func reversed(list []string) []string {
	r := make([]string, len(list))
	for i, s := range list {
		r[len(list)-1-i] = s
	}
	return r
}

func TestPagesContainEachItemOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	st := handlerstest.OpenStore(t)
	batches, numbers := recordMany(t, st, 11)
	for i := range 11 {
		record(t, st, fmt.Sprintf("plan-%02d", i), morning(0), store.Quarantined{Reason: dlr.NoType, Raw: []byte(`{}`)})
	}
	s := serve(t, Config{}, st, handlerstest.Quiet())
	batch := "/api/v1/plans/acme-eu/batches/" + batches[0]
	for _, limit := range []int{1, 2, 3, 5, 10, 11, 12, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			require.Equal(t, reversed(batches), s.pages(t, "/api/v1/batches", "id", limit))
			require.Equal(t, reversed(batches),
				s.pages(t, "/api/v1/batches?plan=acme-eu&status=delivered", "id", limit))
			require.Equal(t, batches[:1], s.pages(t, "/api/v1/batches?status=failed", "id", limit))
			require.Equal(t, numbers, s.pages(t, batch+"/recipients", "number", limit))
			require.Equal(t, numbers[:1], s.pages(t, batch+"/recipients?status=delivered", "number", limit))
			require.Equal(t, numbers[1:], s.pages(t, batch+"/recipients?status=FAILED", "number", limit))
			require.Equal(t, reversed(batches), s.pages(t, "/api/v1/recipients/"+alice, "batch_id", limit))
			require.Equal(t, batches, s.pages(t, "/api/v1/feedback", "id", limit))
			require.Empty(t, s.pages(t, "/api/v1/feedback?state=dead", "id", limit))
			require.Len(t, s.pages(t, batch+"/reports", "received_at", limit), 11)
			require.ElementsMatch(t, []string{
				"plan-00", "plan-01", "plan-02", "plan-03", "plan-04", "plan-05",
				"plan-06", "plan-07", "plan-08", "plan-09", "plan-10",
			}, s.pages(t, "/api/v1/quarantine", "plan", limit))
		})
	}
}

func TestFiltersOfBatches(t *testing.T) {
	s := serveSample(t)
	for query, want := range map[string][]string{
		"":                                 {batchDrop, batchSum, batchOTP, batchDead},
		"plan=":                            {batchDrop, batchSum, batchOTP, batchDead},
		"plan=acme-us":                     {batchDrop},
		"plan=acme":                        nil,
		"status=aborted":                   {batchSum}, // its report names no recipient
		"status=Failed":                    {batchOTP},
		"status=DISPATCHED":                nil, // no recipient is in it any more
		"client_reference=otp/8a02":        {batchOTP},
		"client_reference=otp%2F8a02":      {batchOTP},
		"client_reference=otp":             nil,
		"from=2026-03-02T10:00:00.120Z":    {batchDrop, batchSum, batchOTP},
		"from=2026-03-02T10:00:00.121Z":    {batchDrop, batchSum},
		"to=2026-03-02T10:00:00.120Z":      {batchDead},
		"to=2026-03-02T11:00:00.121+01:00": {batchOTP, batchDead},
		"from=1772445601&to=1772446000":    {batchSum},
		"plan=acme-eu&status=delivered":    {batchSum, batchOTP, batchDead},
		"plan=acme-us&status=failed":       nil,
	} {
		address := "/api/v1/batches"
		if query != "" {
			address += "?" + query
		}
		require.Equal(t, want, s.pages(t, address, "id", 3), query)
	}
	require.Equal(t, []string{batchOTP, batchSum}, s.pages(t, "/api/v1/feedback?state=pending", "id", 1))
	require.Equal(t, []string{batchDead}, s.pages(t, "/api/v1/feedback?state=dead", "id", 1))
	require.Empty(t, s.pages(t, "/api/v1/feedback?state=dead&plan=acme-us", "id", 1))
}
