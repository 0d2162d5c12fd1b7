package api

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// sharedStore is a store with made-up figures about its replicas.
type sharedStore struct {
	Store
	figures store.Gauges
}

func (s *sharedStore) Gauges() store.Gauges { return s.figures }

func TestStatsListTheReplicas(t *testing.T) {
	shared := &sharedStore{Store: handlerstest.OpenStore(t)}
	s := serve(t, Config{}, shared, handlerstest.Quiet())
	replicas := func() map[string]any {
		t.Helper()
		var all map[string]any
		require.NoError(t, json.Unmarshal(s.get(t, "/api/v1/stats").Content, &all))
		delete(all, "plans")
		delete(all, "store")
		return all
	}
	require.Empty(t, replicas(), "this store cannot be shared")
	shared.figures = store.Gauges{Replica: "web-1", Replicas: []string{"web-1", "web-2"}, Leaders: map[string]string{}}
	require.Equal(t, map[string]any{
		"replica": "web-1", "replicas": []any{"web-1", "web-2"}, "leaders": map[string]any{},
	}, replicas())
	for _, lease := range store.LeaderLeases() {
		shared.figures.Leaders[lease] = "web-2"
	}
	// The call also checks the answer against openapi.yaml.
	leaders := map[string]any{"destinations": "web-2", "reconcile": "web-2", "retention": "web-2"}
	require.Equal(t, leaders, replicas()["leaders"])
}
