package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
)

// maxLookup limits how many bytes of Sinch's answer the method get reads. The JSON of a batch with 1000 recipients has
// some tens of thousands of bytes, and message parameters may add megabytes.
const maxLookup = 4 << 20

// lookup is Sinch's answer to a GET that the gateway itself sends, for example to fetch a batch.
type lookup struct {
	status int
	header http.Header
	body   []byte
}

// get sends a GET to the plan's endpoint plus tail (an escaped path and query). It uses the plan's own token if there
// is one, else the caller's. It waits up to config.Timeout for Sinch's answer. Concurrent calls with the same plan,
// token and tail share one answer, which must not be modified.
func (p *proxiedRequest) get(tail string) (*lookup, error) {
	key := p.plan.ID + "\n" + string(p.token[:]) + "\n" + tail
	answer, err, _ := p.lookups.Do(key, func() (any, error) {
		ctx, cancel := listener.Detach(p.r.Context(), p.config.Timeout)
		defer cancel()
		return p.getOnce(ctx, tail)
	})
	if err != nil {
		return nil, err
	}
	return answer.(*lookup), nil
}

func (p *proxiedRequest) getOnce(ctx context.Context, tail string) (*lookup, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.plan.endpoint.String()+tail, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header["User-Agent"] = []string{p.r.UserAgent()}
	if p.plan.Client == nil {
		r.Header["Authorization"] = p.r.Header["Authorization"]
	} else if err := p.plan.Client.Authorize(ctx, r); err != nil {
		return nil, err
	}
	a, err := p.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(io.LimitReader(a.Body, maxLookup))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case p.plan.Client != nil:
		p.plan.Client.Refused(ctx, r, a)
	case a.StatusCode == http.StatusUnauthorized:
		p.tokens.forget(p.plan.ID, p.token)
	}
	return &lookup{a.StatusCode, a.Header, body}, nil
}

// checkToken finds out whether Sinch accepts the caller's token, by requesting a list of one batch. If Sinch does not
// answer 200, refusal is its answer, to be forwarded to the caller. The error is a *problem.Problem.
func (p *proxiedRequest) checkToken() (refusal *lookup, err error) {
	answer, err := p.get("/batches?page_size=1")
	if err != nil {
		return nil, p.lookupFailed(err)
	}
	if answer.status != http.StatusOK {
		return answer, nil
	}
	p.accept()
	return nil, nil
}

// fetchBatch fetches the batch in the request's path from Sinch. If Sinch does not answer 200, the batch is nil, and
// refusal is Sinch's answer, to be forwarded to the caller. The error is a *problem.Problem.
func (p *proxiedRequest) fetchBatch() (b *sinch.Batch, refusal *lookup, err error) {
	answer, err := p.get("/batches/" + url.PathEscape(p.batchID))
	if err != nil {
		return nil, nil, p.lookupFailed(err)
	}
	if answer.status != http.StatusOK {
		return nil, answer, nil
	}
	if b, err = readBatch(answer.body, p.batchID); err != nil {
		return nil, nil, p.lookupFailed(fmt.Errorf("parse Sinch's answer: %w", err))
	}
	p.accept()
	return b, nil, nil
}

// accept caches the caller's token as one that Sinch accepts. It does nothing if the plan has a token of its own.
func (p *proxiedRequest) accept() {
	if p.plan.Client == nil {
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// lookupFailed returns the problem for a GET to Sinch by the gateway itself that failed with err.
func (p *proxiedRequest) lookupFailed(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.Detail = "the batch could not be looked up at Sinch; nothing was recorded, retry later"
	return refused
}

// forward passes Sinch's answer to a lookup on to the caller: status, body and a few headers.
func (p *proxiedRequest) forward(a *lookup) {
	h := p.w.Header()
	for _, name := range []string{"Content-Type", "Www-Authenticate", "Retry-After"} {
		if values := a.header[name]; values != nil {
			h[name] = values
		}
	}
	p.answer(a.status, a.body)
}

// answer answers the caller without passing the request on to Sinch. It sets the outcome for the metrics.
func (p *proxiedRequest) answer(status int, body []byte) {
	p.status, p.answering, p.outcome = status, true, outcomeOfStatus(status)
	if len(body) == 0 {
		p.w.Header().Set("Content-Length", "0")
	}
	p.w.WriteHeader(status)
	_, _ = p.w.Write(body) // the caller may have closed the connection
}
