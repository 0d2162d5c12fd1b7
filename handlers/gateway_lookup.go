package handlers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
)

// maxLookup bounds the bytes read of an answer to a question of our own. A batch of 1000 recipients has some tens of thousands;
// parameters can make megabytes of it.
const maxLookup = 4 << 20

// said is Sinch's answer to a question of our own.
type lookup struct {
	status int
	header http.Header
	body   []byte
}

// ask asks Sinch with the token that the caller's request would have been sent with. Those who ask the same at the same time
// share one answer.
func (p *proxiedRequest) get(tail string) (*lookup, error) {
	key := p.plan.ID + "\n" + string(p.token[:]) + "\n" + tail
	answer, err, _ := p.lookups.Do(key, func() (any, error) {
		ctx, cancel := detach(p.r.Context(), p.config.Timeout)
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

// checkToken asks whether the caller's token is good for the plan. An answer that is not nil says that it is not, or why Sinch
// does not say.
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

// fetchBatch asks for the batch in the path. A refusal that is not nil is Sinch's answer other than a batch.
func (p *proxiedRequest) fetchBatch() (b *sinch.Batch, refusal *lookup, err error) {
	answer, err := p.get("/batches/" + url.PathEscape(p.batchID))
	if err != nil {
		return nil, nil, p.lookupFailed(err)
	}
	if answer.status != http.StatusOK {
		return nil, answer, nil
	}
	if b, err = readBatch(answer.body, p.batchID); err != nil {
		return nil, nil, p.lookupFailed(fmt.Errorf("the answer of Sinch is not understood: %w", err))
	}
	p.accept()
	return b, nil, nil
}

// accept remembers that Sinch took the caller's token.
func (p *proxiedRequest) accept() {
	if p.plan.Client == nil {
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// lookupFailed is the problem that Sinch did not answer a question of our own.
func (p *proxiedRequest) lookupFailed(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.detail = "Sinch was asked about the batch and gave no answer; nothing was recorded, the same call will do later"
	return refused
}

// forward answers with what Sinch said to a question of our own.
func (p *proxiedRequest) forward(a *lookup) {
	h := p.w.Header()
	for _, name := range []string{"Content-Type", "Www-Authenticate", "Retry-After"} {
		if values := a.header[name]; values != nil {
			h[name] = values
		}
	}
	p.answer(a.status, a.body)
}

// answer answers in Sinch's place.
func (p *proxiedRequest) answer(status int, body []byte) {
	p.status, p.answering, p.outcome = status, true, outcomeOfStatus(status)
	if len(body) == 0 {
		p.w.Header().Set("Content-Length", "0")
	}
	p.w.WriteHeader(status)
	_, _ = p.w.Write(body) // the caller may have left
}
