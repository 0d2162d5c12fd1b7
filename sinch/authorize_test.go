package sinch_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/sinch"
)

func TestEndpointNeedsNoCredentials(t *testing.T) {
	for want, c := range map[string]sinch.Config{
		"https://eu.sms.api.sinch.com/xms/v1/plan":    {Plan: "plan", Region: "eu"},
		"https://zt.us.sms.api.sinch.com/xms/v1/proj": {Plan: "plan", Region: "us", Project: sinch.Project{ID: "proj"}},
		"http://127.0.0.1:9200/sub/xms/v1/a%20b":      {Plan: "a b", BaseURL: "http://127.0.0.1:9200/sub/"},
	} {
		got, err := c.Endpoint()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := sinch.Config{Plan: "plan", Region: "mars"}.Endpoint()
	require.ErrorContains(t, err, "region")
}

func TestAuthorizeReplacesCredentials(t *testing.T) {
	c, err := sinch.New(sinch.Config{Plan: "plan", Region: "eu", Token: "of-the-plan"})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Basic of-the-caller")
	require.NoError(t, c.Authorize(t.Context(), r))
	require.Equal(t, []string{"Bearer of-the-plan"}, r.Header.Values("Authorization"))
	c.Refused(t.Context(), r, &http.Response{StatusCode: http.StatusUnauthorized}) // a plan's token cannot be renewed
	require.NoError(t, c.Authorize(t.Context(), r))
	require.Equal(t, []string{"Bearer of-the-plan"}, r.Header.Values("Authorization"))
}
