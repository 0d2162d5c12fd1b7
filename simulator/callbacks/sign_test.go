package callbacks

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestSignatureMatchesSinchsExample(t *testing.T) {
	read := fixtures.Read(t, "sig-example.json")
	var example struct {
		Secret  string
		Headers map[string]string
		Body    string
	}
	require.NoError(t, json.Unmarshal(read, &example))
	seconds, err := strconv.ParseInt(example.Headers["x-sinch-webhook-signature-timestamp"], 10, 64)
	require.NoError(t, err)

	h := http.Header{}
	sign(h, example.Secret, []byte(example.Body), example.Headers["x-sinch-webhook-signature-nonce"],
		time.Unix(seconds, 9e8))
	require.Len(t, h, len(example.Headers))
	for name, want := range example.Headers {
		require.Equal(t, want, h.Get(name), name)
	}
}
