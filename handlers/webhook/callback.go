package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// endpoint authenticates the callbacks of one service plan and logs the ones that fail. It is safe for concurrent use.
type endpoint struct {
	plan          string
	verifier      *verifier
	onFailure     OnFailure
	keepSignature bool
	failures      problem.Failures
	sampler       problem.LogSampler
}

// newEndpoint returns the endpoint for the callbacks of one service plan. If a setting of the plan is invalid, it
// returns an error that begins with key, the configuration key of the settings, such as plans[0].webhook.auth.
func newEndpoint(key string, plan Plan, log *slog.Logger) (*endpoint, error) {
	v, err := newVerifier(key, plan.Auth)
	if err != nil {
		return nil, err
	}
	h := &endpoint{
		plan: plan.ID, verifier: v, onFailure: plan.OnFailure, keepSignature: plan.KeepSignature,
		failures: problem.Failures{Log: log.With("plan", plan.ID)},
	}
	switch h.onFailure {
	case RetryOnFailure, RejectOnFailure:
	case "":
		h.onFailure = RetryOnFailure
	default:
		return nil, fmt.Errorf("%s.on_failure: %q: set %s or %s", key, h.onFailure, RetryOnFailure, RejectOnFailure)
	}
	return h, nil
}

// callback answers one callback from Sinch: 200 once it is durable, otherwise a problem. path is the part of the URL's
// path after /webhooks/.
func (p *Webhook) callback(c *gin.Context, path string) {
	begun := time.Now()
	plan, token, _ := strings.Cut(strings.Trim(path, "/"), "/")
	token = strings.TrimLeft(token, "/")
	h := (*p.webhooks.Load())[plan]
	if h == nil {
		p.unknownPlan(c, plan)
		return
	}
	var t dlr.Type
	outcome := metrics.Failed // counted if the store panics
	defer func() { p.metrics.Callback(h.plan, t, outcome, time.Since(begun)) }()

	t, outcome, err := p.process(c, h, token)
	if err != nil {
		// Without an answer net/http would send 200, and Sinch would not repeat the callback.
		outcome = p.refuse(c, h, err)
		return
	}
	if id := problem.RequestID(c.Request); id != "" {
		c.Header("X-Request-Id", id)
	}
	c.Status(http.StatusOK)
	if ctx := c.Request.Context(); h.failures.Log.Enabled(ctx, slog.LevelDebug) {
		h.failures.Log.LogAttrs(ctx, slog.LevelDebug, "callback accepted", slog.String("type", string(t)),
			slog.String("outcome", outcome.String()), slog.Duration("took", time.Since(begun)))
	}
}

// process authenticates, reads and parses a callback, and blocks until it is durable. token is the path segment after
// the plan id. It returns the report type and the outcome for the metrics; after an error ignore both.
func (p *Webhook) process(c *gin.Context, h *endpoint, token string) (dlr.Type, metrics.Outcome, error) {
	in := &bodyReader{bodies: &p.bodies, connection: http.NewResponseController(c.Writer), begun: time.Now()}
	defer in.releaseAll()
	body, err := p.receive(c, h, token, in)
	if err != nil {
		return "", 0, err
	}
	done, err := in.acquireForParsing(c.Request.Context(), int64(len(body)))
	if err != nil {
		return "", 0, err
	}
	defer done()
	return p.record(c.Request.Context(), h, c.Request.Header, body)
}

// receive authenticates a callback, reads its body, and returns the body decompressed. token is the path segment after
// the plan id. The error is the *problem.Problem to answer.
func (p *Webhook) receive(c *gin.Context, h *endpoint, token string, reader *bodyReader) ([]byte, error) {
	if err := h.verifier.checkHead(c.Request, token); err != nil {
		return nil, h.authFailed(c, err)
	}
	if h.verifier.hmac != nil {
		reader.client = p.clientOf(c)
		reader.unverified.enter(reader)
		defer reader.unverified.leave(reader)
	}
	sent, err := reader.read(c.Request)
	reader.unverified.leave(reader)
	if err != nil {
		return nil, h.asUnverified(err)
	}
	if s := h.verifier.hmac; s != nil && !s.verifies(c.Request.Header, sent) {
		if err := p.verifyUnpacked(c, h, sent); err != nil {
			return nil, err
		}
	}
	return reader.unpack(c.Request.Context(), sent)
}

// verifyUnpacked verifies a body whose signature does not cover the bytes as received. It returns nil if the body is
// gzip and the signature covers its decompressed content, otherwise the problem to answer.
func (p *Webhook) verifyUnpacked(c *gin.Context, h *endpoint, sent []byte) error {
	if !isGzip(sent) {
		return h.authFailed(c, errSignature)
	}
	verified, err := p.unpacking.verify(h.verifier.hmac, c.Request.Header, sent, p.bodies.limit, p.clientOf(c))
	switch _, own := errors.AsType[*problem.Problem](err); {
	case verified:
		return nil
	case own:
		return h.asUnverified(err)
	case err != nil:
		return &problem.Problem{Kind: problem.KindShedUnverified, Status: p.bodies.shed, Detail: "retry later", Cause: err}
	}
	return h.authFailed(c, errSignature)
}

// record parses the body of an authenticated callback and blocks until it is durable. A body that cannot be parsed is
// stored in the quarantine, for a person to look at. If Config.DiscardInbound is set, inbound messages are not stored.
// record returns the report type and the outcome for the metrics. If the store fails, record returns the store's error;
// ignore the other results then.
func (p *Webhook) record(
	ctx context.Context, h *endpoint, header http.Header, body []byte,
) (dlr.Type, metrics.Outcome, error) {
	callback, err := dlr.Parse(body)
	outcome := metrics.Stored
	var entry store.Entry
	switch misread, failed := errors.AsType[*dlr.ParseError](err); {
	case callback.Type.Inbound() && p.discardInbound:
		return callback.Type, metrics.Inbound, nil
	case failed:
		outcome, entry = metrics.Quarantined, store.Quarantined{Reason: misread.Reason, Type: misread.Type, Raw: body}
		h.logQuarantined(ctx, misread)
	case callback.Inbound != nil:
		outcome, entry = metrics.Inbound, store.Inbound{Inbound: callback.Inbound, Raw: body}
	default:
		entry = store.Report{Report: callback.Report, Raw: body, Source: store.FromCallback}
	}
	ctx, cancel := context.WithTimeout(ctx, p.storeTimeout)
	defer cancel()
	arrival := store.Arrival{Plan: h.plan, At: store.Now(), Entry: entry}
	if h.keepSignature {
		arrival.Signature = signatureOf(header)
	}
	return callback.Type, outcome, p.recorder.Record(ctx, arrival)
}

// logQuarantined logs that a callback could not be parsed and why. It writes at most one line every five seconds
// (problem.LogEvery). Each line says how many were left out since the previous one.
func (h *endpoint) logQuarantined(ctx context.Context, err *dlr.ParseError) {
	if unlogged, ok := h.sampler.Allow(problem.KindBadBody); ok {
		h.failures.Log.LogAttrs(ctx, slog.LevelWarn, "callback could not be parsed, kept in quarantine",
			slog.String("reason", string(err.Reason)), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}

// authFailed returns the problem for a callback that failed authentication with err. The status is 503, or 401 if the
// plan has RejectOnFailure. For a 401 of a plan with HTTP Basic, it also sets the header WWW-Authenticate.
func (h *endpoint) authFailed(c *gin.Context, err error) error {
	cause := fmt.Errorf("%w; correct the plan's webhook.auth, or the credentials set at Sinch", err)
	if h.onFailure == RetryOnFailure {
		return &problem.Problem{Kind: problem.KindCredentials, Detail: "authentication failed", Cause: cause}
	}
	if h.verifier.basic != nil {
		c.Header("WWW-Authenticate", `Basic realm="dlrloop", charset="UTF-8"`)
	}
	return &problem.Problem{Kind: problem.KindUnauthorized, Detail: "authentication failed", Cause: cause}
}

// asUnverified prepares err, the error of a body whose signature is not verified yet, for the metrics. If the body is
// too large or there is no memory for it, the problem gets a kind that is counted separately. If the plan requires no
// signature, err is returned unchanged, because the sender was authenticated before the body was read.
func (h *endpoint) asUnverified(err error) error {
	refused, ok := errors.AsType[*problem.Problem](err)
	if !ok || h.verifier.hmac == nil { // without HMAC, authentication precedes the body
		return err
	}
	switch refused.Kind {
	case problem.KindTooLarge:
		refused.Kind = problem.KindTooLargeUnverified
	case problem.KindShed:
		refused.Kind = problem.KindShedUnverified
	}
	return refused
}

// refuse answers a callback that failed with err, logs the failure, and returns the outcome for the metrics. An error
// that is a fault of dlrloop is answered 503, so that Sinch repeats the callback.
func (p *Webhook) refuse(c *gin.Context, h *endpoint, err error) metrics.Outcome {
	refused := problem.Of(err)
	switch refused.Kind {
	case problem.KindCredentials, problem.KindUnauthorized, problem.KindTooLarge, problem.KindTooLargeUnverified,
		problem.KindIncomplete, problem.KindShed, problem.KindShedUnverified, problem.KindBusy:
	default: // any other kind is a fault of ours: Sinch must repeat the callback
		refused = &problem.Problem{Kind: problem.KindUnavailable, Detail: "retry later", Cause: err}
	}
	id := refused.Answer(c)
	if unlogged, ok := h.sampler.Allow(refused.Kind); ok {
		h.failures.Report(c, refused, id, unlogged)
	}
	if lossy(refused) {
		p.metrics.Lossy(h.plan)
	}
	return outcomeOf(refused.Kind)
}

// lossy reports whether a callback is lost after an answer with problem p. Sinch repeats a callback only after 5xx and
// 429, so it is lost after any other status. If the sender was not authenticated, lossy returns false, since anybody
// can send such a callback.
func lossy(p *problem.Problem) bool {
	if p.Kind == problem.KindUnauthorized || p.Kind == problem.KindTooLargeUnverified {
		return false
	}
	status := p.StatusCode()
	return status < 500 && status != http.StatusTooManyRequests
}

func outcomeOf(k problem.Kind) metrics.Outcome {
	switch k {
	case problem.KindCredentials, problem.KindUnauthorized:
		return metrics.Unauthorized
	case problem.KindTooLarge:
		return metrics.TooLarge
	case problem.KindTooLargeUnverified:
		return metrics.TooLargeUnverified
	case problem.KindShed:
		return metrics.Shed
	case problem.KindShedUnverified:
		return metrics.ShedUnverified
	case problem.KindIncomplete:
		return metrics.Incomplete
	case problem.KindBusy:
		return metrics.Busy
	}
	return metrics.Failed
}
