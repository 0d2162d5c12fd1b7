package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestATokenThatSinchRefuses(t *testing.T) {
	for name, prepare := range map[string]func(*fixture){
		"batch known":   func(h *fixture) { h.recordBatch(true, 0) },
		"batch unknown": func(*fixture) {},
	} {
		h := newFixture(t, nil)
		prepare(h)
		h.serveBatch(batchJSON(batchSent, ""))
		r := h.request(http.MethodPost, feedbackTail, strings.NewReader(oneRecipient))
		r.Header.Set("Authorization", "Bearer wrong")
		a := h.do(r)
		require.Equal(t, http.StatusUnauthorized, a.StatusCode, name)
		require.Equal(t, "Bearer", a.Header.Get("WWW-Authenticate"))
		require.Len(t, h.upstream.newCalls(), 1)
		r = h.request(http.MethodPost, feedbackTail, strings.NewReader("{"))
		r.Header.Set("Authorization", "Bearer wrong")
		require.Equal(t, http.StatusUnauthorized, h.do(r).StatusCode, "without a valid token the body is not judged")
		if b := h.batch(batchSent); b != nil {
			require.Zero(t, b.Feedback.Owed)
		}
	}
}

func TestATokenIsCheckedOnce(t *testing.T) {
	h := newFixture(t, nil)
	h.recordBatch(true, 0)
	h.serveBatch("")
	confirm := func() {
		require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, oneRecipient).StatusCode)
	}
	confirm()
	confirm()
	require.Len(t, h.upstream.newCalls(), 1)

	h.upstream.answers(http.StatusUnauthorized, "") // of an unrelated call
	h.call(http.MethodGet, "/groups", "")
	h.upstream.newCalls()
	h.serveBatch("")
	confirm()
	require.Len(t, h.upstream.newCalls(), 1, "a 401 makes the gateway forget the token")

	other := newFixture(t, nil)
	other.recordBatch(true, 0)
	other.upstream.answers(http.StatusOK, "{}")
	other.call(http.MethodGet, "/groups", "")
	other.call(http.MethodGet, "/batches/..%2Fx", "")
	other.upstream.newCalls()
	other.call(http.MethodPost, feedbackTail, oneRecipient)
	require.Len(t, other.upstream.newCalls(), 1, "a success of another path does not prove the token")

	third := newFixture(t, nil)
	third.recordBatch(true, 0)
	third.upstream.answers(http.StatusOK, `{"batches":[]}`)
	third.call(http.MethodGet, "/batches", "")
	third.upstream.newCalls()
	third.call(http.MethodPost, feedbackTail, oneRecipient)
	require.Empty(t, third.upstream.newCalls(), "a success of a list proves the token")
}

// TestConcurrentTokenChecksShareOneLookup makes many confirmations wait for one check of their token.
func TestConcurrentTokenChecksShareOneLookup(t *testing.T) {
	h := newFixture(t, nil)
	h.recordBatch(true, 0)
	called, goOn := make(chan struct{}, 100), make(chan struct{})
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		called <- struct{}{}
		<-goOn
		_, _ = io.WriteString(w, `{"batches":[]}`)
	})
	const callers = 10
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			assert.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, oneRecipient).StatusCode)
		})
	}
	<-called
	h.store.AwaitCalls(storetest.Read, callers) // each caller's next step is the lookup
	close(goOn)
	all.Wait()
	require.Less(t, len(h.upstream.newCalls()), callers)
}

func TestTokensExpireAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := newTokens()
		a, b := access.DigestOf("a"), access.DigestOf("b")
		known.accept("p", a)
		require.True(t, known.accepted("p", a))
		require.False(t, known.accepted("q", a))
		require.False(t, known.accepted("p", b))
		time.Sleep(tokenMemory - time.Nanosecond)
		require.True(t, known.accepted("p", a))
		time.Sleep(time.Nanosecond)
		require.False(t, known.accepted("p", a))

		for i := range 2 * maxTokens {
			known.accept("p", access.DigestOf(fmt.Sprint(i)))
		}
		require.Len(t, known.good, maxTokens)
		require.NotContains(t, known.good, tokenKey{"p", a}, "expired entries are deleted first")
		time.Sleep(tokenMemory)
		known.accept("p", b)
		require.Len(t, known.good, 1)
		known.forget("p", b)
		require.False(t, known.accepted("p", b))
	})
}

func TestConfirmationsWithThePlansToken(t *testing.T) {
	h := newFixture(t, ownToken(t))
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		_, _ = io.WriteString(w, batchJSON(batchSent, ""))
	})
	confirm := func(authorization string) int {
		r := h.request(http.MethodPost, feedbackTail, strings.NewReader(oneRecipient))
		r.Header.Set("Authorization", authorization)
		return h.do(r).StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, confirm(callerToken))
	require.Empty(t, h.upstream.newCalls())
	require.Equal(t, http.StatusAccepted, confirm("Bearer app-token"))
	got := h.upstream.only(t)
	require.Equal(t, "Bearer token-of-the-plan", got.header.Get("Authorization"))
	require.Equal(t, "/xms/v1/plan-a/batches/"+batchSent, got.uri)
	require.Equal(t, http.StatusAccepted, confirm("Bearer app-token"))
	require.Empty(t, h.upstream.newCalls(), "no further lookup is needed")
}
