package handlers

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// sharedStore says who shares it.
type sharedStore struct {
	store.Store
	figures store.Gauges
}

func (s *sharedStore) Gauges() store.Gauges { return s.figures }

func TestTheStatsSayWhoSharesTheStore(t *testing.T) {
	shared := &sharedStore{Store: openStore(t)}
	s := servePrivate(t, PrivateConfig{}, shared, quiet())
	said := func() map[string]any {
		t.Helper()
		var all map[string]any
		require.NoError(t, json.Unmarshal(s.get(t, "/api/v1/stats").body, &all))
		delete(all, "plans")
		delete(all, "store")
		return all
	}
	require.Empty(t, said(), "nobody can share it")
	shared.figures = store.Gauges{Replica: "web-1", Replicas: []string{"web-1", "web-2"}, Duties: map[string]string{}}
	require.Equal(t, map[string]any{"replica": "web-1", "replicas": []any{"web-1", "web-2"}, "duties": map[string]any{}}, said())
	for _, duty := range store.Duties() {
		shared.figures.Duties[duty] = "web-2"
	}
	require.Equal(t, map[string]any{"reconcile": "web-2", "retire": "web-2"}, said()["duties"], "and the document knows every duty")
}
