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

// maxLookup limits the bytes that are read of Sinch's answer to a GET of our own. A batch of 1000 recipients has some
// tens of thousands; its parameters may add megabytes.
const maxLookup = 4 << 20

// lookup is Sinch's answer to a GET of our own.
type lookup struct {
	status int
	header http.Header
	body   []byte
}

// get sends a GET to Sinch with the token that the caller's request would be sent with; tail follows the plan in the
// path. Concurrent calls with the same plan, token and tail share one answer.
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

// checkToken finds out whether Sinch accepts the caller's token for the plan. If Sinch answers other than 200, that
// answer is returned as refusal, for the caller.
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

// fetchBatch fetches the batch in the path from Sinch. If Sinch answers other than 200, that answer is returned as
// refusal, for the caller.
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

// accept remembers the caller's token as accepted by Sinch. The plan's own token is not remembered.
func (p *proxiedRequest) accept() {
	if p.plan.Client == nil {
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// lookupFailed returns the problem that a GET of our own got no valid answer.
func (p *proxiedRequest) lookupFailed(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.Detail = "the batch could not be looked up at Sinch; nothing was recorded, retry later"
	return refused
}

// forward answers the caller with Sinch's answer to a GET of our own.
func (p *proxiedRequest) forward(a *lookup) {
	h := p.w.Header()
	for _, name := range []string{"Content-Type", "Www-Authenticate", "Retry-After"} {
		if values := a.header[name]; values != nil {
			h[name] = values
		}
	}
	p.answer(a.status, a.body)
}

// answer writes an answer of our own in place of Sinch's.
func (p *proxiedRequest) answer(status int, body []byte) {
	p.status, p.answering, p.outcome = status, true, outcomeOfStatus(status)
	if len(body) == 0 {
		p.w.Header().Set("Content-Length", "0")
	}
	p.w.WriteHeader(status)
	_, _ = p.w.Write(body) // the caller may have closed the connection
}
