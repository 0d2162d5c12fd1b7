package destinations

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// A URL may contain a secret in its path or query, so no detail may show more than its scheme and host, whatever the
// destination answers.
func TestDetailsHideTheURL(t *testing.T) {
	const path = "/hooks/T0SECRET42/x%20y?key=abcdefgh&n=1"
	for name, answer := range map[string]func(http.ResponseWriter){
		"the same URL": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.test"+path)
			w.WriteHeader(http.StatusMovedPermanently)
		},
		"a relative URL": func(w http.ResponseWriter) {
			w.Header().Set("Location", path+"/")
			w.WriteHeader(http.StatusFound)
		},
		"a wrong URL": func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://[::1"+path)
			w.WriteHeader(http.StatusMovedPermanently)
		},
		"the path": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "Cannot POST "+path)
		},
		"parts": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"hook": "T0SECRET42", "query": {"key": "abcdefgh"}, "path": "/hooks/T0SECRET42/x y"}`)
		},
	} {
		server, _ := catch(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
		a, err := senderFor(t, server.URL+path, nil).send(t.Context(), []*store.Event{eventOf("b", 1)})
		require.NoError(t, err)
		require.NotEmpty(t, a.detail, name)
		require.NotContains(t, a.detail, "SECRET", name)
		require.NotContains(t, a.detail, "abcdefgh", name)
		require.NotContains(t, a.detail, "hooks/", name)
	}
	server, _ := catch(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.test"+path)
		w.WriteHeader(http.StatusMovedPermanently)
	})
	a, err := senderFor(t, server.URL+path, nil).send(t.Context(), []*store.Event{eventOf("b", 1)})
	require.NoError(t, err)
	require.Equal(t, "HTTP 301, to https://elsewhere.test", a.detail)
	server.Close()
	a, err = senderFor(t, server.URL+path, nil).send(t.Context(), []*store.Event{eventOf("b", 1)})
	require.NoError(t, err)
	require.Equal(t, store.DeliveryNetwork, a.reason)
	require.NotContains(t, a.detail, "SECRET")
}
