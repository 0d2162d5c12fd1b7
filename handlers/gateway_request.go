package handlers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/metrics"
)

// proxiedRequest is one request on its way through the gateway.
type proxiedRequest struct {
	*Gateway
	gatewayRoute
	plan       *gatewayPlan // nil where none is configured
	w          http.ResponseWriter
	r          *http.Request
	connection *http.ResponseController
	begun      time.Time
	token      digest // of the caller's Authorization
	body       *requestBody
	connected  atomic.Bool // Sinch may have got something
	answering  bool        // something may have been written
	status     int         // of the answer, once there is one
	outcome    metrics.GatewayOutcome
	leave      context.CancelCauseFunc // ends the call to Sinch
	guard      *time.Timer             // does so when its time is over
}

func newProxiedRequest(g *Gateway, w http.ResponseWriter, r *http.Request) *proxiedRequest {
	p := &proxiedRequest{
		Gateway: g, gatewayRoute: routeOf(r), w: w, r: r,
		connection: http.NewResponseController(w), begun: time.Now(), outcome: metrics.GatewayRefused,
	}
	p.plan = g.plans[p.gatewayRoute.plan]
	return p
}

// serve answers the request, or returns why it is refused.
func (p *proxiedRequest) serve() error {
	if err := p.authorize(p.r, p.plan); err != nil {
		return err
	}
	if p.plan == nil {
		return &problem{kind: kindNotFound, detail: fmt.Sprintf("no plan with the id %.64q is configured here: add it under plans, "+
			"or correct the id that your client was given", p.gatewayRoute.plan)}
	}
	if !staysInPlan(p.tail) {
		return &problem{kind: kindNotFound, detail: "the path could lead out of the plan, and Sinch was not called: remove segments of " +
			"dots, backslashes, encoded percent signs, control characters and characters outside ASCII, encoded ones too"}
	}
	p.token = sha256.Sum256([]byte(strings.Join(p.r.Header["Authorization"], "\n")))
	// A send that has reached Sinch is recorded whether or not the caller still waits.
	ctx, cancel := detach(p.r.Context(), maxRequestTime)
	defer cancel()
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	p.leave, p.r = leave, p.r.WithContext(ctx)
	if err := p.setLimits(); err != nil {
		return err
	}
	defer p.guard.Stop()
	if p.operation == metrics.GatewayFeedback && p.plan.TakesFeedback {
		return p.recordFeedback()
	}
	if err := p.completeSend(); err != nil {
		return err
	}
	return p.proxy()
}

// bound limits the body, the time in which it must arrive, and the time in which Sinch must begin its answer. The server's own
// times are too short for both.
func (p *proxiedRequest) setLimits() error {
	if p.r.ContentLength > p.config.MaxBody {
		return &http.MaxBytesError{Limit: p.config.MaxBody}
	}
	p.body = &requestBody{ReadCloser: http.MaxBytesReader(p.w, p.r.Body, p.config.MaxBody)}
	if p.r.ContentLength != 0 {
		p.r.Body = p.body
	}
	most := p.begun.Add(gatewayBodyTime + gatewayDial + p.config.Timeout + p.config.Patience)
	// A connection that knows no deadlines is one of a test.
	_ = p.connection.SetReadDeadline(most)
	_ = p.connection.SetWriteDeadline(most.Add(gatewayStall))
	p.guard = time.AfterFunc(time.Until(most), func() { p.leave(errStalled) })
	return nil
}

// pass has Sinch answer.
func (p *proxiedRequest) proxy() error {
	if p.plan.Client != nil {
		// The caller's credential is ours, and nothing of it goes on.
		p.r.Header.Del("Authorization")
		if err := p.plan.Client.Authorize(p.r.Context(), p.r); err != nil {
			return p.noToken(err)
		}
	}
	proxy := httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.answered,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { p.refuse(p.unanswered(err)) },
		Transport:      p.transport,
		FlushInterval:  -1,
		BufferPool:     p.buffers,
		ErrorLog:       log.New(proxyLog{p.log}, "", 0),
	}
	proxy.ServeHTTP(p.w, p.r.WithContext(httptrace.WithClientTrace(p.r.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})))
	return nil
}

// rewrite sends a request to Sinch as it came, except for the headers that sanitize removes.
func (p *proxiedRequest) rewrite(r *httputil.ProxyRequest) {
	to := *p.plan.endpoint
	to.RawPath = strings.TrimRight(p.plan.endpoint.EscapedPath(), "/") + p.tail
	to.Path = unescaped(to.RawPath)
	to.RawQuery, to.ForceQuery = r.In.URL.RawQuery, r.In.URL.ForceQuery
	r.Out.URL = &to
	r.Out.Host = "" // the upstream's
	sanitize(r)
}

// answered sees Sinch's answer before the caller does.
func (p *proxiedRequest) answered(a *http.Response) error {
	if a.StatusCode == http.StatusSwitchingProtocols {
		p.guard.Stop()
		p.status, p.answering, p.outcome = a.StatusCode, true, outcomeOfStatus(a.StatusCode)
		return nil
	}
	p.guard.Reset(gatewayStall)
	p.updateTokens(a)
	if err := p.observe(a); err != nil {
		return err
	}
	p.status, p.answering, p.outcome = a.StatusCode, true, outcomeOfStatus(a.StatusCode)
	if a.Header["Content-Type"] == nil {
		p.w.Header()["Content-Type"] = nil // else net/http would guess one
	}
	// What has been answered may take longer to read than a request had to arrive.
	_ = p.connection.SetReadDeadline(time.Time{})
	a.Body = &answerBody{ReadCloser: a.Body, connection: p.connection, guard: p.guard}
	return nil
}

// seen draws from an answer whether the caller's token is good.
func (p *proxiedRequest) updateTokens(a *http.Response) {
	switch {
	case p.plan.Client != nil:
		if a.StatusCode == http.StatusUnauthorized {
			p.plan.Client.Refused(p.r.Context(), a.Request, a)
		}
	case a.StatusCode == http.StatusUnauthorized:
		p.tokens.forget(p.plan.ID, p.token)
	case a.StatusCode < 300 && (p.operation == metrics.GatewaySend || p.operation == metrics.GatewayList):
		// Their paths are of this plan whatever Sinch makes of an escape.
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// unanswered says why there was no answer of Sinch.
func (p *proxiedRequest) unanswered(err error) error {
	if cause := p.body.failure(); cause != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](cause); tooLarge || p.repeatable() || !p.body.begun.Load() {
			return unreadBody(cause)
		}
		// A server may act on a body that lacks only its end.
		err = cause
	}
	if cause := context.Cause(p.r.Context()); cause != nil {
		err = cause
	}
	p.outcome = metrics.GatewayUnreachable
	return p.upstream(err)
}

// repeatable reports whether a call that is made twice has the effect of one.
func (p *proxiedRequest) repeatable() bool {
	switch p.operation {
	case metrics.GatewaySend, metrics.GatewayUpdate:
		return false
	case metrics.GatewayOther:
		return p.r.Method == http.MethodGet || p.r.Method == http.MethodHead || p.r.Method == http.MethodOptions
	}
	return true
}

// upstream is the problem that Sinch did not answer.
func (p *proxiedRequest) upstream(err error) *problem {
	refused := &problem{kind: kindUpstream, cause: err}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errStalled) {
		refused.status = http.StatusGatewayTimeout
	}
	switch {
	case !p.connected.Load():
		refused.detail = "Sinch could not be reached and got nothing; the same call will do later"
	case p.operation == metrics.GatewaySend:
		refused.detail = "Sinch gave no whole answer, and the batch may have been sent: look for it before you send it again"
	case !p.repeatable():
		refused.detail = "Sinch gave no whole answer, and the call may have taken effect: look before you repeat it"
	default:
		refused.detail = "Sinch gave no whole answer; the same call will do later"
	}
	return refused
}

// noToken is the problem that the plan's own token could not be had.
func (p *proxiedRequest) noToken(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.detail = "the gateway could not get the project's token from Sinch, and made no call; the same call will do later"
	return refused
}

// refuse answers with a problem, and logs it unless the like was just logged.
func (p *proxiedRequest) refuse(err error) {
	refused := problemOf(err)
	if refused.kind == kindUnauthorized {
		p.w.Header()["Www-Authenticate"] = p.access.challenges
	}
	p.status, p.answering = refused.statusCode(), true
	id := refused.write(p.w, p.r)
	if unlogged, ok := p.sampler.allow(refused.kind); ok {
		p.log.LogAttrs(p.r.Context(), kinds[refused.kind].level, "gateway request refused",
			slog.Int("status", p.status), slog.String("problem", kinds[refused.kind].slug), slog.String("plan", p.planID()),
			slog.String("operation", string(p.operation)), slog.String("request_id", id), slog.Any("error", refused),
			slog.Int64("unlogged", unlogged))
	}
}

// end counts the request, whatever became of it, and answers for a panic.
func (p *proxiedRequest) end() {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
		p.log.LogAttrs(p.r.Context(), slog.LevelError, "handler panicked",
			slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
		if !p.answering {
			p.refuse(p.panicked(fmt.Errorf("panic: %v", cause)))
			cause = nil
		}
	}
	took := time.Since(p.begun)
	p.metrics.GatewayRequest(p.operation, p.outcome, took)
	p.log.LogAttrs(p.r.Context(), slog.LevelDebug, "gateway request",
		slog.String("plan", p.planID()), slog.String("operation", string(p.operation)),
		slog.String("outcome", string(p.outcome)), slog.Int("status", p.status), slog.Duration("took", took))
	if cause != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// panicked is the problem that a fault of our own ended the request.
func (p *proxiedRequest) panicked(err error) *problem {
	if p.connected.Load() && !p.repeatable() {
		return p.upstream(err)
	}
	return &problem{kind: kindInternal, cause: err}
}

// planID is empty for a plan that is not configured: anybody may make one up.
func (p *proxiedRequest) planID() string {
	if p.plan == nil {
		return ""
	}
	return p.plan.ID
}

func outcomeOfStatus(status int) metrics.GatewayOutcome {
	switch {
	case status >= 500:
		return metrics.GatewayFailed
	case status >= 400:
		return metrics.GatewayRejected
	}
	return metrics.GatewaySucceeded
}
