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

// maxLookup limits how many bytes the gateway reads of Sinch's answer to a GET of its own. The rest is cut off, so a
// larger batch cannot be parsed.
const maxLookup = 4 << 20 // a batch of 1000 recipients has tens of kilobytes, and perhaps megabytes of parameters

// lookupAnswer is Sinch's answer to a GET that the gateway sends itself, to fetch a batch or to check a token. Several
// requests may share the same lookupAnswer, so do not modify it.
type lookupAnswer struct {
	status int
	header http.Header
	body   []byte
}

// get sends a GET to the plan's endpoint plus tail, an escaped path and query, and returns Sinch's answer of any
// status. It uses the plan's own token, or the caller's if the plan has none. It waits up to Config.Timeout.
// Simultaneous calls with the same plan, token and tail share one answer, so do not modify it.
func (p *proxiedRequest) get(tail string) (*lookupAnswer, error) {
	key := p.plan.ID + "\n" + string(p.token[:]) + "\n" + tail
	answer, err, _ := p.lookups.Do(key, func() (any, error) {
		ctx, cancel := listener.Detach(p.r.Context(), p.config.Timeout)
		defer cancel()
		return p.getOnce(ctx, tail)
	})
	if err != nil {
		return nil, err
	}
	return answer.(*lookupAnswer), nil
}

func (p *proxiedRequest) getOnce(ctx context.Context, tail string) (*lookupAnswer, error) {
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
	return &lookupAnswer{a.StatusCode, a.Header, body}, nil
}

// checkToken finds out whether Sinch accepts the caller's token, by asking for a list of one batch. If Sinch answers
// with another status than 200, refusal is its answer, which the caller should get. The error is a *problem.Problem.
func (p *proxiedRequest) checkToken() (refusal *lookupAnswer, err error) {
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

// fetchBatch fetches the batch in the request's path from Sinch. If Sinch answers with another status than 200, refusal
// is its answer, which the caller should get, and b is nil. The error is a *problem.Problem.
func (p *proxiedRequest) fetchBatch() (b *sinch.Batch, refusal *lookupAnswer, err error) {
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

// accept remembers that Sinch accepts the caller's token. For the next five minutes (tokenMemory), the token is not
// checked at Sinch again. accept does nothing if the plan has a token of its own.
func (p *proxiedRequest) accept() {
	if p.plan.Client == nil {
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// lookupFailed returns the problem to answer if a GET that the gateway sent to Sinch itself failed with err. Its status
// is 504 after a time-out, otherwise 502.
func (p *proxiedRequest) lookupFailed(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.Detail = "the batch could not be looked up at Sinch; nothing was recorded, retry later"
	return refused
}

// forward answers the caller with Sinch's answer to a GET of the gateway's own: with the status, the body and the
// headers Content-Type, WWW-Authenticate and Retry-After.
func (p *proxiedRequest) forward(a *lookupAnswer) {
	h := p.w.Header()
	for _, name := range []string{"Content-Type", "Www-Authenticate", "Retry-After"} {
		if values := a.header[name]; values != nil {
			h[name] = values
		}
	}
	p.answer(a.status, a.body)
}

// answer writes the answer to the caller, with the headers that are set already. It also sets the outcome that is
// counted in the metrics. body may be nil.
func (p *proxiedRequest) answer(status int, body []byte) {
	p.status, p.answering, p.outcome = status, true, outcomeOfStatus(status)
	if len(body) == 0 {
		p.w.Header().Set("Content-Length", "0")
	}
	p.w.WriteHeader(status)
	_, _ = p.w.Write(body) // the caller may have closed the connection
}
