package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestErrorsAreAnsweredAsProblems(t *testing.T) {
	for name, c := range map[string]struct {
		err       error
		slug      string
		status    int
		parameter string
		detail    string
	}{
		"not found, by name": {NotFound("batch b of plan p"), "not-found", 404, "", "batch b of plan p was not found"},
		"not found, by store": {
			fmt.Errorf("batch b: %w", store.ErrNotFound), "not-found", 404, "", "batch b: not found",
		},
		"bad parameter": {
			BadParameter("limit", "not a number", "1 to 1000"), "bad-parameter", 400, "limit",
			"limit: not a number; allowed: 1 to 1000",
		},
		"bad cursor": {
			fmt.Errorf("list: %w", store.ErrCursor), "bad-parameter", 400, "cursor",
			"cursor: list: cursor is not valid; allowed: the next_cursor of the previous page",
		},
		"bad body":      {BadBody("no JSON"), "bad-body", 400, "", "no JSON"},
		"unauthorized":  {Unauthorized("who is it?"), "unauthorized", 401, "", "who is it?"},
		"busy":          {fmt.Errorf("record: %w", store.ErrBusy), "busy", 503, "", "retry later"},
		"closed":        {store.ErrClosed, "busy", 503, "", "retry later"},
		"too slow":      {context.DeadlineExceeded, "busy", 503, "", "retry later"},
		"canceled":      {context.Canceled, "busy", 503, "", "retry later"},
		"too large":     {&http.MaxBytesError{Limit: 7}, "too-large", 413, "", "the limit is 7 bytes"},
		"anything else": {errors.New("secret path"), "internal", 500, "", "see the log for this request id"},
		"unread body": {
			Unread(io.ErrUnexpectedEOF), "incomplete", 503, "", "the body did not arrive completely; retry later",
		},
		"unread, too large": {Unread(&http.MaxBytesError{Limit: 7}), "too-large", 413, "", "the limit is 7 bytes"},
		"store failed": {
			OfStore(errors.New("secret path")), "unavailable", 503, "", "the store failed, see the log; retry later",
		},
		"store busy":          {OfStore(fmt.Errorf("record: %w", store.ErrBusy)), "busy", 503, "", "retry later"},
		"wrapped":             {fmt.Errorf("read: %w", BadBody("no JSON")), "bad-body", 400, "", "no JSON"},
		"with its own status": {&Problem{Kind: KindShed, Status: 429}, "shed", 429, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
			engine := gin.New()
			engine.GET("/x", func(x *gin.Context) { Failures{Log: slog.New(slog.DiscardHandler)}.Fail(x, c.err) })
			engine.ServeHTTP(w, request)

			var got struct {
				Type, Title, Detail, Parameter string
				Status                         int
				RequestID                      string `json:"request_id"`
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			require.Equal(t, "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"+c.slug, got.Type)
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.status, got.Status)
			require.Equal(t, c.parameter, got.Parameter)
			require.Equal(t, c.detail, got.Detail)
			require.NotEmpty(t, got.Title)
			require.NotEmpty(t, got.RequestID)
			require.Equal(t, c.status == 503 || c.status == 429, w.Header().Get("Retry-After") != "")
			require.NotContains(t, w.Body.String(), "secret path")
		})
	}
}

func TestTheTextOfAProblem(t *testing.T) {
	cause := errors.New("disk full")
	require.Equal(t, "later: disk full", (&Problem{Detail: "later", Cause: cause}).Error())
	require.Equal(t, "disk full", (&Problem{Cause: cause}).Error())
	require.Equal(t, "later", (&Problem{Detail: "later"}).Error())
	require.ErrorIs(t, &Problem{Cause: cause}, cause)
}

func TestEveryProblemIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "problems.md"))
	require.NoError(t, err)
	var documented, known []string
	for _, match := range regexp.MustCompile(`(?m)^### (\S+)\n\n(\d+)`).FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, match[1]+" "+match[2])
	}
	for _, k := range kinds {
		known = append(known, fmt.Sprintf("%s %d", k.slug, k.status))
	}
	require.ElementsMatch(t, known, documented)
}

func TestEachKindIsLoggedOnceEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s LogSampler
		unlogged, ok := s.Allow(KindBusy)
		require.True(t, ok)
		require.Zero(t, unlogged)
		for range 3 {
			_, ok = s.Allow(KindBusy)
			require.False(t, ok)
		}
		_, ok = s.Allow(KindShed)
		require.True(t, ok, "each kind is limited separately")

		time.Sleep(LogEvery)
		unlogged, ok = s.Allow(KindBusy)
		require.True(t, ok)
		require.EqualValues(t, 3, unlogged)
		time.Sleep(LogEvery)
		unlogged, _ = s.Allow(KindBusy)
		require.Zero(t, unlogged)
	})
}
