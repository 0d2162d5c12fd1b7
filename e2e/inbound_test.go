package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInboundMessageSurvivesAKill kills dlrloop as soon as a STOP message is answered 200. The message must be stored,
// once, although Sinch sends it again afterwards.
func TestInboundMessageSurvivesAKill(t *testing.T) {
	t.Parallel()
	p := newProgram(t, plan, token, secret, "http://127.0.0.1:9")
	p.start()
	p.call(stopMessage)
	p.kill()
	p.start()
	p.call(stopMessage)
	var page struct {
		Items []struct{ ID, From, Text string }
	}
	p.get("/api/v1/inbound?number=447700900133", &page)
	require.Len(t, page.Items, 1)
	require.Equal(t, "01KJQ7Q1X0STOP0000000000E5", page.Items[0].ID)
	require.Equal(t, "STOP", page.Items[0].Text)
	p.stop()
}
