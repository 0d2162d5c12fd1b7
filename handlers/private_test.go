package handlers

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// problemReply is the problem that a client decodes.
type problemReply struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Parameter string `json:"parameter"`
	RequestID string `json:"request_id"`
}

func decodeProblem(t *testing.T, a reply) problemReply {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	var p problemReply
	require.NoError(t, json.Unmarshal(a.body, &p))
	require.Equal(t, a.StatusCode, p.Status)
	return p
}
