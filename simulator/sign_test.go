package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

const signature = "x-sinch-webhook-signature"

func signedCustomer(t *testing.T, c Config) *customer {
	c.Plans = []Plan{{ID: testPlan, Token: testToken, CallbackURL: hooks, Secret: "c2VjcmV0"}}
	return newCustomer(t, c)
}

func TestEachAttemptIsSigned(t *testing.T) {
	for name, keep := range map[string]bool{"new nonce": false, "kept nonce": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := signedCustomer(t, Config{Calm: true, KeepNonce: keep})
				u.answer = func(n int, _ post) int { return map[bool]int{true: 500, false: 200}[n < 4] }
				u.run()
				sendOne(u)
				u.settle()
				nonces := map[string]bool{}
				times := map[string]bool{}
				for _, p := range u.received() {
					nonce, at := p.header.Get(signature+"-nonce"), p.header.Get(signature+"-timestamp")
					nonces[nonce], times[at] = true, true
					require.Len(t, nonce, 26)
					require.Equal(t, strconv.FormatInt(p.at.Unix(), 10), at)
					mac := hmac.New(sha256.New, []byte("c2VjcmV0"))
					mac.Write([]byte(string(p.body) + "." + nonce + "." + at))
					require.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), p.header.Get(signature))
					require.Equal(t, "HmacSHA256", p.header.Get(signature+"-algorithm"))
				}
				require.Len(t, times, 4)
				require.Len(t, nonces, map[bool]int{true: 1, false: 4}[keep])
			})
		})
	}
}

func TestCallbacksWithoutSecretAreNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		sendOne(u)
		u.settle()
		require.Empty(t, u.received()[0].header.Get(signature))
		require.Empty(t, u.received()[0].header.Get(signature+"-nonce"))
	})
}

func TestNoncesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := signedCustomer(t, Config{Calm: true}).run()
		u.send(map[string]any{"to": numbers(200), "delivery_report": "per_recipient"})
		u.send(map[string]any{"to": numbers(200), "delivery_report": "per_recipient"})
		_, err := u.sim.Receive(Inbound{From: "12025550180", To: "54321", Body: json.RawMessage(`"x"`)})
		require.NoError(t, err)
		u.settle()
		nonces := map[string]bool{}
		for _, p := range u.received() {
			nonces[p.header.Get(signature+"-nonce")] = true
		}
		require.Len(t, nonces, 801)
	})
}
