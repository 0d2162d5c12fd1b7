package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// openDestinations returns a server with the destinations app, which is configured, and former-app, and its store.
func openDestinations(t *testing.T) (server, store.Store) {
	t.Helper()
	s := handlerstest.OpenStore(t)
	saveDestinations(t, s)
	return serve(t, Config{Destinations: []string{"app"}}, s, handlerstest.Quiet()), s
}

func TestRequeueDestination(t *testing.T) {
	server, _ := openDestinations(t)
	const address = "/api/v1/destinations/app"
	require.Equal(t, []string{"1"}, server.pages(t, address+"/events?state=dead", "id", 10))
	a := server.call(t, http.MethodPost, address+"/requeue", "", nil)
	require.JSONEq(t, `{"events": 1}`, string(a.Content))
	require.Empty(t, server.pages(t, address+"/events?state=dead", "id", 10))
	require.Equal(t, []string{"1", "2"}, server.pages(t, address+"/events", "id", 1))
	a = server.call(t, http.MethodPost, address+"/requeue", "", nil)
	require.JSONEq(t, `{"events": 0}`, string(a.Content))
}

func TestRequeueADestinationThatIsNotConfigured(t *testing.T) {
	server, _ := openDestinations(t)
	a := server.call(t, http.MethodPost, "/api/v1/destinations/former-app/requeue", "", nil)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, string(a.Content), "configure it again, or purge it")
}

func TestPurgeDestination(t *testing.T) {
	server, s := openDestinations(t)
	a := server.call(t, http.MethodDelete, "/api/v1/destinations/app", "", nil)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, string(a.Content), "remove it from the configuration of all replicas")

	record(t, s, planEU, morning(0), called(t, recipientBody(batchOTP, alice, "Delivered", 0, morning(0))))
	a = server.call(t, http.MethodDelete, "/api/v1/destinations/former-app", "", nil)
	require.JSONEq(t, `{"waiting": 0, "dead": 0}`, string(a.Content), "the store keeps no events")
	require.NotContains(t, string(server.get(t, "/api/v1/destinations").Content), "former-app")
	a = server.call(t, http.MethodDelete, "/api/v1/destinations/former-app", "", nil)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
}

func TestDestinationsShowTheirBacklog(t *testing.T) {
	s := handlerstest.OpenStoreWith(t, func(string) store.Policy { return store.Policy{Events: true} })
	saveDestinations(t, s)
	record(t, s, planEU, morning(0), called(t, recipientBody(batchOTP, alice, "Delivered", 0, morning(0))))
	server := serve(t, Config{}, s, handlerstest.Quiet())
	_ = server.get(t, "/api/v1/stats") // waits for the fold
	type destination struct {
		Waiting int
		Oldest  time.Time `json:"oldest_at"`
	}
	var list struct{ Items []destination }
	require.NoError(t, json.Unmarshal(server.get(t, "/api/v1/destinations").Content, &list))
	require.Equal(t, []destination{{2, morning(0)}, {1, morning(0)}}, list.Items,
		"app has an event after its cursor and a deferred one")

	_, _, err := s.DeleteOlder(t.Context(), store.Now(), 10)
	require.NoError(t, err)
	list.Items = nil
	require.NoError(t, json.Unmarshal(server.get(t, "/api/v1/destinations").Content, &list))
	require.Equal(t, []destination{{1, morning(1801 * time.Second)}, {}}, list.Items,
		"retention has deleted the event, but not the deferred one")
}

func TestUnknownDestination(t *testing.T) {
	server, _ := openDestinations(t)
	for method, address := range map[string]string{
		http.MethodGet: "/api/v1/destinations/unknown/events", http.MethodPost: "/api/v1/destinations/unknown/requeue",
		http.MethodDelete: "/api/v1/destinations/unknown",
	} {
		a := server.call(t, method, address, "", nil)
		require.Equal(t, http.StatusNotFound, a.StatusCode, "%s %s", method, address)
		require.Contains(t, string(a.Content), "destination unknown")
	}
}
