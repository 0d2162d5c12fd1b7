package fault

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFaultsAsJSON(t *testing.T) {
	f := Fault{
		Plan: "p", Operation: OpFeedback, BatchID: "b", Kind: AppliedBut500, Status: 503, RetryAfter: "1",
		Body: "x", Latency: 1500 * time.Millisecond, Times: 2,
	}
	text, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t,
		`{"plan":"p","operation":"feedback","batch_id":"b","kind":"applied_but_500","status":503,"retry_after":"1",`+
			`"body":"x","latency":"1.5s","times":2}`, string(text))
	var read Fault
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, f, read)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind":"reset","time":1}`), &read), `unknown field "time"`)
	require.ErrorContains(t, json.Unmarshal([]byte(`{"kind":"latency","latency":"5"}`), &read), "is not a duration")
}
