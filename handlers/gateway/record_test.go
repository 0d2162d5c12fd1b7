package gateway

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// batchJSON returns a batch as Sinch answers it: to two numbers, one of them twice, and a group. more is appended to
// its members.
func batchJSON(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"to":["+12017777777","12018888888","12017777777","dxCJTlfb1UsF"],`+
		`"from":"12025550100","canceled":false,"body":"hello","type":"mt_text",`+
		`"created_at":"2025-08-18T10:00:00.000Z","modified_at":"2025-08-18T10:00:00.000Z",`+
		`"delivery_report":"per_recipient","expire_at":"2025-08-21T10:00:00.000Z",`+
		`"client_reference":"otp/1","feedback_enabled":true%s}`, id, more)
}

func compressed(t *testing.T, plain string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func TestBatchesAreRecordedFromEachOperation(t *testing.T) {
	for name, c := range map[string]struct {
		method, tail string
		status       int
		recorded     bool
	}{
		"send":                {"POST", "/batches", 201, true},
		"get":                 {"GET", "/batches/" + batchSent, 200, true},
		"update":              {"POST", "/batches/" + batchSent, 200, true},
		"replace":             {"PUT", "/batches/" + batchSent, 200, true},
		"cancel":              {"DELETE", "/batches/" + batchSent, 200, true},
		"get, oddly escaped":  {"GET", "/batches/%30" + batchSent[1:], 200, true},
		"a dry run":           {"POST", "/batches/dry_run", 200, false},
		"another batch":       {"GET", "/batches/01K2", 200, false},
		"a refused send":      {"POST", "/batches", 400, false},
		"a send that is late": {"POST", "/batches", 202, false},
		"a missing batch":     {"GET", "/batches/" + batchSent, 404, false},
		"what is no batch":    {"GET", "/groups/" + batchSent, 200, false},
		"a report":            {"GET", "/batches/" + batchSent + "/delivery_report", 200, false},
		"a HEAD":              {"HEAD", "/batches/" + batchSent, 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			h.upstream.answers(c.status, batchJSON(batchSent, ""))
			h.call(c.method, c.tail, "")
			h.drain()
			b := h.batch(batchSent)
			if !c.recorded {
				require.Nil(t, b)
				require.Zero(t, h.observed("recorded")+h.observed("late"))
				return
			}
			require.Equal(t, 1.0, h.observed("recorded")+h.observed("late"))
			require.Equal(t, store.FlagWanted, b.Flag)
			require.Equal(t, &store.BatchInfo{
				BatchID: batchSent, FeedbackEnabled: true, ReportKind: "per_recipient", ClientReference: "otp/1",
				Recipients: 3, Groups: 1,
				CreatedAt: time.Date(2025, 8, 18, 10, 0, 0, 0, time.UTC), ModifiedAt: time.Date(2025, 8, 18, 10, 0, 0,
					0, time.UTC),
				ExpireAt: time.Date(2025, 8, 21, 10, 0, 0, 0, time.UTC), Source: store.FromGateway,
			}, b.Info)
			page, err := h.store.Recipients(t.Context(), b.Key(), store.RecipientQuery{})
			require.NoError(t, err)
			require.Len(t, page.Items, 2, "one for each number")
		})
	}
}

// TestABatchIsRecordedBeforeItsAnswerEnds requires that the batch is in the store when the caller has its answer,
// unless the store is slow.
func TestABatchIsRecordedBeforeItsAnswerEnds(t *testing.T) {
	h := newFixture(t, nil)
	unknown := 0.0
	for i := range 20 {
		id := fmt.Sprintf("%s%d", batchSent, i)
		h.upstream.answers(http.StatusCreated, batchJSON(id, ""))
		require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/batches", "{}").StatusCode)
		if h.batch(id) == nil {
			unknown++
		}
	}
	h.drain() // the last batches may still be being recorded, and are counted only then
	require.LessOrEqual(t, unknown, h.observed("late"))
	require.Equal(t, 20.0, h.observed("recorded")+h.observed("late"))
}

func TestEveryBatchOfAListIsRecorded(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.answers(http.StatusOK,
		`{"count":3,"page":0,"page_size":3,"batches":[`+batchJSON("B1", "")+","+batchJSON("B2", "")+`,{"id":""}],`+
			`"Batches":[`+batchJSON("B3", "")+`]}`)
	for range 3 {
		h.call(http.MethodGet, "/batches?page=0", "")
	}
	h.drain()
	require.NotNil(t, h.batch("B1"))
	require.NotNil(t, h.batch("B2"))
	require.Nil(t, h.batch("B3"), "member names are case-sensitive")
	require.Equal(t, 3.0, h.observed("unreadable"))
	require.LessOrEqual(t, h.store.Calls(storetest.Record), 4, "unchanged batches are not recorded again")
}

func TestABatchIsRecordedFromACompressedAnswer(t *testing.T) {
	h := newFixture(t, nil)
	body := compressed(t, batchJSON(batchSent, ""))
	h.upstream.answers(http.StatusCreated, body, "Content-Encoding", "gzip")
	r := h.request(http.MethodPost, "/batches", strings.NewReader("{}"))
	r.Header.Set("Accept-Encoding", "gzip")
	a := h.do(r)
	require.Equal(t, body, string(a.Content))
	require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	require.Equal(t, "gzip", h.upstream.only(t).header.Get("Accept-Encoding"))
	h.drain()
	require.NotNil(t, h.batch(batchSent))
}

func TestABatchIsRecordedFromAnAnswerOfUnknownLength(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		for _, c := range batchJSON(batchSent, "") {
			_, _ = io.WriteString(w, string(c))
			_ = http.NewResponseController(w).Flush()
		}
	})
	require.Equal(t, batchJSON(batchSent, ""), string(h.call(http.MethodPost, "/batches", "{}").Content))
	h.drain()
	require.NotNil(t, h.batch(batchSent))
}

func TestUnreadableAnswersPassAndAreCounted(t *testing.T) {
	large := batchJSON(batchSent, `,"padding":"`+strings.Repeat("x", maxObserved)+`"`)
	for name, c := range map[string]struct{ body, encoding, why string }{
		"no JSON":              {"<html>", "", "the answer of Sinch is not a JSON object"},
		"no object":            {"[1]", "", "the answer of Sinch is not a JSON object"},
		"no id":                {`{"to":["12017777777"]}`, "", "the answer of Sinch is not a batch: id is missing"},
		"an id too long":       {batchJSON(strings.Repeat("x", 256), ""), "", "id is longer than 255 bytes"},
		"a bare id":            {`{"id":"` + batchSent + `"}`, "", "to and created_at are missing"},
		"too large":            {large, "", "the answer of Sinch is larger than 1048576 bytes"},
		"too large when plain": {compressed(t, strings.Repeat(" ", maxObservedPlain+1)), "gzip", "too large"},
		"no gzip":              {"{}", "gzip", "gzip: "},
		"a broken gzip":        {compressed(t, batchJSON(batchSent, ""))[:50], "gzip", "gzip: "},
		"an unknown coding":    {"{}", "br", "the Content-Encoding is not gzip"},
		"an empty answer":      {"", "", "the answer of Sinch is not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			h.upstream.answers(http.StatusCreated, c.body, "Content-Encoding", c.encoding)
			a := h.call(http.MethodPost, "/batches", "{}")
			require.Equal(t, c.body, string(a.Content))
			h.drain()
			require.Equal(t, 1.0, h.observed("unreadable"))
			require.Zero(t, h.store.Calls(storetest.Record))
			require.Contains(t, h.log.String(), "looked up when needed")
			require.Contains(t, h.log.String(), c.why)
		})
	}
	h := newFixture(t, nil)
	h.upstream.answers(http.StatusOK, "[]")
	h.call(http.MethodGet, "/batches", "")
	require.Equal(t, 1.0, h.observed("unreadable"), "the answer is not a list")
}

// TestABlockedStoreDelaysNoSend blocks the store until the answer has arrived.
func TestABlockedStoreDelaysNoSend(t *testing.T) {
	h := newFixture(t, nil)
	h.store.FailRecord(storetest.Stuck, nil, storetest.Always)
	h.upstream.answers(http.StatusCreated, batchJSON(batchSent, ""))
	require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/batches", "{}").StatusCode)
	require.Nil(t, h.batch(batchSent))
	h.store.Heal()
	h.drain()
	require.NotNil(t, h.batch(batchSent))
	require.Equal(t, 1.0, h.observed("late"))
}

func TestAStoreFailureLosesOnlyTheBatchInfo(t *testing.T) {
	for name, kind := range map[string]storetest.Kind{
		"not applied": storetest.NotApplied, "applied": storetest.Applied, "panics": storetest.Panics,
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			h.store.FailRecord(kind, nil, 1)
			h.upstream.answers(http.StatusCreated, batchJSON(batchSent, ""))
			a := h.call(http.MethodPost, "/batches", "{}")
			require.Equal(t, http.StatusCreated, a.StatusCode)
			require.Equal(t, batchJSON(batchSent, ""), string(a.Content))
			h.call(http.MethodPost, "/batches", "{}")
			h.drain()
			require.Equal(t, 1.0, h.observed("lost"))
			require.NotNil(t, h.batch(batchSent), "the next answer records it")
			require.Contains(t, h.log.String(), "batches not recorded")
		})
	}
}

// TestTooManyAnswersAreNotQueued occupies all slots with a blocked store.
func TestTooManyAnswersAreNotQueued(t *testing.T) {
	h := newFixture(t, nil)
	h.store.FailRecord(storetest.Stuck, nil, storetest.Always)
	for range maxRecording {
		h.gateway.recorder.slots <- struct{}{}
	}
	h.upstream.answers(http.StatusCreated, batchJSON(batchSent, ""))
	require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/batches", "{}").StatusCode)
	require.Equal(t, 1.0, h.observed("lost"))
	require.Zero(t, h.store.Calls(storetest.Record))
}

func TestRememberedBatchesAreBounded(t *testing.T) {
	l := newRecorder(nil)
	for i := range maxRemembered + 10 {
		l.remember(store.BatchKey{BatchID: fmt.Sprint(i)}, digest{})
	}
	require.Len(t, l.lastRecorded, maxRemembered)
}

// TestGatewayLogsContainNoSecret checks all log lines, down to level Debug.
func TestGatewayLogsContainNoSecret(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.answers(http.StatusCreated, batchJSON(batchSent, ""))
	h.call(http.MethodPost, "/batches", `{"to":["12017777777"],"body":"very private"}`)
	h.upstream.answers(http.StatusOK, "not a batch of 12018888888")
	h.call(http.MethodGet, "/batches/"+batchSent, "")
	h.call(http.MethodGet, "/batches/"+batchSent+"/delivery_report/12018888888", "")
	h.call(http.MethodPost, "/batches/"+batchSent+"/delivery_feedback",
		`{"recipients":["12017777777","nonsense 12018888888"]}`)
	h.upstream.Close()
	h.call(http.MethodGet, "/batches/"+batchSent+"/delivery_report/12018888888", "")
	h.drain()
	for _, secret := range []string{"12017777777", "12018888888", "private", "token-of-the-caller"} {
		require.NotContains(t, h.log.String(), secret)
	}
	require.Contains(t, h.log.String(), "operation=report")
}
