package gateway

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

	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// proxiedRequest is the state of one request to the gateway, from its arrival to the end of its answer. It belongs to
// the goroutine of the request. Other goroutines may use only the atomic fields and the function leave, which cancels
// the call to Sinch.
type proxiedRequest struct {
	*Gateway
	route
	plan       *servedPlan // nil if no such plan is configured
	w          http.ResponseWriter
	r          *http.Request
	connection *http.ResponseController
	begun      time.Time
	token      digest // of the caller's Authorization header
	body       *requestBody
	connected  atomic.Bool // Sinch may have received a part of the request
	answering  bool        // a part of the answer may have been written
	status     int         // of the answer, once it is known
	outcome    metrics.GatewayOutcome
	leave      context.CancelCauseFunc // cancels the call to Sinch
	guard      *time.Timer             // calls leave(errStalled) when it fires
}

func newProxiedRequest(g *Gateway, w http.ResponseWriter, r *http.Request) *proxiedRequest {
	p := &proxiedRequest{
		Gateway: g, route: routeOf(r), w: w, r: r,
		connection: http.NewResponseController(w), begun: time.Now(), outcome: metrics.GatewayRefused,
	}
	p.plan = g.plans[p.route.plan]
	return p
}

// serve checks the caller and answers the request, in most cases with Sinch's answer. If it returns an error, it has
// written nothing; pass the error to refuse.
func (p *proxiedRequest) serve() error {
	if err := p.authorize(p.r, p.plan); err != nil {
		return err
	}
	if p.plan == nil {
		return &problem.Problem{Kind: problem.KindNotFound, Detail: fmt.Sprintf("plan %.64q is not configured here: "+
			"add it under plans, or correct the plan id of your client", p.route.plan)}
	}
	if !staysInPlan(p.tail) {
		return &problem.Problem{Kind: problem.KindNotFound, Detail: "the path could leave the plan, and Sinch was " +
			"not called: remove segments of dots, backslashes, encoded percent signs, control characters and " +
			"characters outside ASCII, also in encoded form"}
	}
	p.token = sha256.Sum256([]byte(strings.Join(p.r.Header["Authorization"], "\n")))
	// The call goes on after the caller has closed the connection, so that a send that has reached Sinch is recorded.
	ctx, cancel := listener.Detach(p.r.Context(), maxRequestTime)
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

// setLimits limits the size of the request's body, the time for the body to arrive, and the time for Sinch to begin its
// answer. These limits replace the time-outs of http.Server. If the Content-Length is too large, it returns an
// *http.MaxBytesError.
func (p *proxiedRequest) setLimits() error {
	if p.r.ContentLength > p.config.MaxBody {
		return &http.MaxBytesError{Limit: p.config.MaxBody}
	}
	p.body = &requestBody{ReadCloser: http.MaxBytesReader(p.w, p.r.Body, p.config.MaxBody)}
	if p.r.ContentLength != 0 {
		p.r.Body = p.body
	}
	most := p.begun.Add(bodyTime + dialTime + p.config.Timeout + p.config.Patience)
	// Only connections of tests support no deadlines.
	_ = p.connection.SetReadDeadline(most)
	_ = p.connection.SetWriteDeadline(most.Add(stallTime))
	p.guard = time.AfterFunc(time.Until(most), func() { p.leave(errStalled) })
	return nil
}

// proxy passes the request on to Sinch and Sinch's answer on to the caller. It returns nil after it has written an
// answer, which may be a problem. If it cannot get the plan's own access token, it returns a *problem.Problem and has
// written nothing.
func (p *proxiedRequest) proxy() error {
	if p.plan.Client != nil {
		// The caller's credential is one of private.credentials: Sinch must not get it.
		p.r.Header.Del("Authorization")
		if err := p.plan.Client.Authorize(p.r.Context(), p.r); err != nil {
			return p.noToken(err)
		}
	}
	proxy := httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.handleAnswer,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { p.refuse(p.callFailed(err)) },
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

// rewrite prepares r.Out, the request to Sinch. The URL of r.Out is the plan's endpoint plus the caller's path after
// the plan id and the caller's query. rewrite calls sanitize, which removes unsafe headers.
func (p *proxiedRequest) rewrite(r *httputil.ProxyRequest) {
	to := *p.plan.endpoint
	to.RawPath = strings.TrimRight(p.plan.endpoint.EscapedPath(), "/") + p.tail
	to.Path = unescaped(to.RawPath)
	to.RawQuery, to.ForceQuery = r.In.URL.RawQuery, r.In.URL.ForceQuery
	r.Out.URL = &to
	r.Out.Host = "" // net/http then sends the endpoint's host
	sanitize(r)
}

// handleAnswer processes Sinch's answer before the caller gets it: it records the batches in the answer, and remembers
// whether Sinch accepted the caller's token. If it returns an error, the caller gets a problem instead of the answer.
func (p *proxiedRequest) handleAnswer(a *http.Response) error {
	if a.StatusCode == http.StatusSwitchingProtocols {
		p.guard.Stop()
		p.status, p.answering, p.outcome = a.StatusCode, true, outcomeOfStatus(a.StatusCode)
		return nil
	}
	p.guard.Reset(stallTime)
	p.updateTokens(a)
	if err := p.observe(a); err != nil {
		return err
	}
	p.status, p.answering, p.outcome = a.StatusCode, true, outcomeOfStatus(a.StatusCode)
	if a.Header["Content-Type"] == nil {
		p.w.Header()["Content-Type"] = nil // net/http would guess a type
	}
	// The answer may take longer than the request's read deadline.
	_ = p.connection.SetReadDeadline(time.Time{})
	a.Body = &answerBody{ReadCloser: a.Body, connection: p.connection, guard: p.guard}
	return nil
}

// updateTokens updates the cache of callers' tokens that Sinch accepts. It adds the caller's token after a successful
// send or list, and removes the token after a 401. If the plan has a token of its own, the cache stays as it is; after
// a 401, updateTokens makes the plan's client replace an expired token.
func (p *proxiedRequest) updateTokens(a *http.Response) {
	switch {
	case p.plan.Client != nil:
		if a.StatusCode == http.StatusUnauthorized {
			p.plan.Client.Refused(p.r.Context(), a.Request, a)
		}
	case a.StatusCode == http.StatusUnauthorized:
		p.tokens.forget(p.plan.ID, p.token)
	case a.StatusCode < 300 && (p.operation == metrics.GatewaySend || p.operation == metrics.GatewayList):
		// Their paths belong to this plan, however Sinch decodes escapes.
		p.tokens.accept(p.plan.ID, p.token)
	}
}

// callFailed returns the error to answer after a call to Sinch failed with err. If the caller's body was too large, the
// status is 413. If the body was incomplete and the caller may safely repeat the call, the status is 503. Otherwise
// Sinch gave no complete answer, and the status is 504 after a time-out, else 502.
func (p *proxiedRequest) callFailed(err error) error {
	if cause := p.body.failure(); cause != nil {
		_, tooLarge := errors.AsType[*http.MaxBytesError](cause)
		if tooLarge || p.repeatable() || !p.body.begun.Load() {
			return problem.Unread(cause)
		}
		// Sinch may act on a body of which only the end is missing, so the outcome is unknown.
		err = cause
	}
	if cause := context.Cause(p.r.Context()); cause != nil {
		err = cause
	}
	p.outcome = metrics.GatewayUnreachable
	return p.upstream(err)
}

// repeatable reports whether the caller may repeat the request without a second effect at Sinch. It returns false for
// calls that create or update a batch, and for unknown calls with a method that changes something.
func (p *proxiedRequest) repeatable() bool {
	switch p.operation {
	case metrics.GatewaySend, metrics.GatewayUpdate:
		return false
	case metrics.GatewayOther:
		return p.r.Method == http.MethodGet || p.r.Method == http.MethodHead || p.r.Method == http.MethodOptions
	}
	return true
}

// upstream returns the problem for a call to which Sinch gave no complete answer because of err. Its status is 504
// after a time-out, otherwise 502. Its text says whether the caller may repeat the call.
func (p *proxiedRequest) upstream(err error) *problem.Problem {
	refused := &problem.Problem{Kind: problem.KindUpstream, Cause: err}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errStalled) {
		refused.Status = http.StatusGatewayTimeout
	}
	switch {
	case !p.connected.Load():
		refused.Detail = "Sinch could not be reached and received nothing; retry later"
	case p.operation == metrics.GatewaySend:
		refused.Detail = "Sinch gave no complete answer, and the batch may have been sent: " +
			"look for it before you send it again"
	case !p.repeatable():
		refused.Detail = "Sinch gave no complete answer, and the call may have taken effect: " +
			"check that before you repeat it"
	default:
		refused.Detail = "Sinch gave no complete answer; retry later"
	}
	return refused
}

// noToken returns the problem with which to answer if the gateway could not get an access token for the plan, so that
// the request was not sent to Sinch. err is the reason.
func (p *proxiedRequest) noToken(err error) error {
	p.outcome = metrics.GatewayUnreachable
	refused := p.upstream(err)
	refused.Detail = "the gateway could not get an access token for the project, and Sinch was not called; retry later"
	return refused
}

// refuse answers the request with the problem for err and logs it. It logs at most one line every five seconds for each
// kind of problem. Nothing of an answer may have been written before.
func (p *proxiedRequest) refuse(err error) {
	refused := problem.Of(err)
	if refused.Kind == problem.KindUnauthorized {
		p.w.Header()["Www-Authenticate"] = p.access.Challenges()
	}
	p.status, p.answering = refused.StatusCode(), true
	id := refused.Write(p.w, p.r)
	if unlogged, ok := p.sampler.Allow(refused.Kind); ok {
		p.log.LogAttrs(p.r.Context(), refused.Kind.Level(), "gateway request refused",
			slog.Int("status", p.status), slog.String("problem", refused.Kind.Slug()),
			slog.String("plan", p.planID()), slog.String("operation", string(p.operation)),
			slog.String("request_id", id), slog.Any("error", refused), slog.Int64("unlogged", unlogged))
	}
}

// end counts and logs the request in metrics and log. Call it with defer, since it recovers a panic: it then answers
// with a problem or, if the answer has begun, aborts the connection.
func (p *proxiedRequest) end() {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares with == too
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
		panic(http.ErrAbortHandler) // the caller must not take a part of an answer for the whole
	}
}

// panicked returns the problem with which to answer after a panic. If Sinch may have received a call that is not safe
// to repeat, the status is 502 and the text warns the caller. Otherwise the status is 500.
func (p *proxiedRequest) panicked(err error) *problem.Problem {
	if p.connected.Load() && !p.repeatable() {
		return p.upstream(err)
	}
	return &problem.Problem{Kind: problem.KindInternal, Cause: err}
}

// planID returns the id of the request's plan for the log. It returns "" if the plan is not configured, since the text
// in the path may be anything.
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
