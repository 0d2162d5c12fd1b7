package listener_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
)

func TestAPanicOfAHandlerIsAnswered(t *testing.T) {
	var log strings.Builder
	f := problem.Failures{Log: slog.New(slog.NewTextHandler(&log, nil))}
	engine, err := listener.NewEngine(f, problem.KindUnavailable, nil)
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
