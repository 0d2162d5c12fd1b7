package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInboundMessageSurvivesAKill kills dlrloop as soon as a STOP message is answered 200. The message must be stored,
// once, although Sinch sends it again afterwards.
func TestInboundMessageSurvivesAKill(t *testing.T) {
	t.Parallel()
	const body = `{"type":"mo_text","id":"01KJQ7Q1X0STOP0000000000E5","from":"447700900133","to":"54321","body":"STOP"}`
	p := newProgram(t, plan, token, secret, "http://127.0.0.1:9")
	p.start()
	send := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.public+"/webhooks/"+plan,
			strings.NewReader(body))
		require.NoError(t, err)
		request.Header = signature(secret, []byte(body))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, send())
	p.kill()
	p.start()
	require.Equal(t, http.StatusOK, send())
	var page struct {
		Items []struct{ ID, From, Text string }
	}
	p.get("/api/v1/inbound?number=447700900133", &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, "01KJQ7Q1X0STOP0000000000E5", page.Items[0].ID)
	require.Equal(t, "STOP", page.Items[0].Text)
	p.stop()
}
