package webhook_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// A caller that closes its sending side after the request gets the normal answer.
func TestHalfClosedConnectionsGetTheirAnswer(t *testing.T) {
	p := servePublic(t, func(c *webhook.Config) { c.Plans[0].Auth = webhook.Auth{None: true} })
	const callbacks = "/webhooks/" + plan
	delivered := string(report("447700900133").body)
	for name, request := range map[string]string{
		"report":            handlerstest.RawRequest("POST", callbacks, "", delivered),
		"connection: close": handlerstest.RawRequest("POST", callbacks, "Connection: close\r\n", delivered),
		"not understood":    handlerstest.RawRequest("POST", callbacks, "", "<xml>"),
		"chunked": strings.Replace(handlerstest.RawRequest("POST", callbacks, "",
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(delivered), delivered)),
			"Content-Length", "Transfer-Encoding: chunked\r\nX-Length", 1),
	} {
		t.Run(name, func(t *testing.T) {
			status, body := handlerstest.HalfClose(t, p.Handler(), p.store, storetest.Record, request)
			require.Equal(t, http.StatusOK, status, body)
		})
	}
	require.Len(t, p.kept(t), 1)
}
