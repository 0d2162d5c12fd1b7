package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
		"not found, by name": {notFound("batch b of plan p"), "not-found", 404, "", "batch b of plan p was not found"},
		"not found, by store": {
			fmt.Errorf("batch b: %w", store.ErrNotFound), "not-found", 404, "", "batch b: not found",
		},
		"bad parameter": {
			badParameter("limit", "not a number", "1 to 1000"), "bad-parameter", 400, "limit",
			"limit: not a number; allowed: 1 to 1000",
		},
		"bad cursor": {
			fmt.Errorf("list: %w", store.ErrCursor), "bad-parameter", 400, "cursor",
			"cursor: list: cursor is not valid; allowed: the next_cursor of the previous page",
		},
		"bad body":            {badBody("no JSON"), "bad-body", 400, "", "no JSON"},
		"unauthorized":        {unauthorized("who is it?"), "unauthorized", 401, "", "who is it?"},
		"busy":                {fmt.Errorf("record: %w", store.ErrBusy), "busy", 503, "", "retry later"},
		"closed":              {store.ErrClosed, "busy", 503, "", "retry later"},
		"too slow":            {context.DeadlineExceeded, "busy", 503, "", "retry later"},
		"canceled":            {context.Canceled, "busy", 503, "", "retry later"},
		"too large":           {&http.MaxBytesError{Limit: 7}, "too-large", 413, "", "the limit is 7 bytes"},
		"anything else":       {errors.New("secret path"), "internal", 500, "", "see the log for this request id"},
		"wrapped":             {fmt.Errorf("read: %w", badBody("no JSON")), "bad-body", 400, "", "no JSON"},
		"with its own status": {&problem{kind: kindShed, status: 429}, "shed", 429, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
			engine, err := newEngine(failures{slog.New(slog.DiscardHandler)}, kindInternal, nil)
			require.NoError(t, err)
			engine.GET("/x", func(x *gin.Context) { failures{slog.New(slog.DiscardHandler)}.fail(x, c.err) })
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
	require.Equal(t, "later: disk full", (&problem{detail: "later", cause: cause}).Error())
	require.Equal(t, "disk full", (&problem{cause: cause}).Error())
	require.Equal(t, "later", (&problem{detail: "later"}).Error())
	require.ErrorIs(t, &problem{cause: cause}, cause)
}

func TestEveryProblemIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "problems.md"))
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

func TestAPanicOfAHandlerIsAnswered(t *testing.T) {
	var log strings.Builder
	f := failures{slog.New(slog.NewTextHandler(&log, nil))}
	engine, err := newEngine(f, kindUnavailable, nil)
	require.NoError(t, err)
	engine.GET("/early", func(*gin.Context) { panic("early") })
	engine.GET("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		panic("late")
	})
	engine.GET("/abort", func(*gin.Context) { panic(http.ErrAbortHandler) })
	serve := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	require.Equal(t, http.StatusServiceUnavailable, serve("/early").Code)
	require.Contains(t, log.String(), "panic=early")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { serve("/late") },
		"an incomplete answer must not look complete")
	require.Contains(t, log.String(), "panic=late")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { serve("/abort") })
	require.NotContains(t, log.String(), "abort")
}

func TestEachKindIsLoggedOnceEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s logSampler
		unlogged, ok := s.allow(kindBusy)
		require.True(t, ok)
		require.Zero(t, unlogged)
		for range 3 {
			_, ok = s.allow(kindBusy)
			require.False(t, ok)
		}
		_, ok = s.allow(kindShed)
		require.True(t, ok, "each kind is limited separately")

		time.Sleep(logEvery)
		unlogged, ok = s.allow(kindBusy)
		require.True(t, ok)
		require.EqualValues(t, 3, unlogged)
		time.Sleep(logEvery)
		unlogged, _ = s.allow(kindBusy)
		require.Zero(t, unlogged)
	})
}
