package handlers

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
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// hook is the webhook of one plan.
type webhook struct {
	plan      string
	verifier  *verifier
	onFailure OnFailure
	failures  failures
	sampler   logSampler
}

// newWebhook makes the webhook of a plan; key is where its credentials stand in the configuration.
func newWebhook(key string, plan PublicPlan, log *slog.Logger) (*webhook, error) {
	v, err := newVerifier(key, plan.Auth)
	if err != nil {
		return nil, err
	}
	h := &webhook{plan: plan.ID, verifier: v, onFailure: plan.OnFailure, failures: failures{log.With("plan", plan.ID)}}
	switch h.onFailure {
	case RetryOnFailure, RejectOnFailure:
	case "":
		h.onFailure = RetryOnFailure
	default:
		return nil, fmt.Errorf("%s.on_failure: %q: set %s or %s", key, h.onFailure, RetryOnFailure, RejectOnFailure)
	}
	return h, nil
}

// callback answers one callback; path is what follows /webhooks/. It never returns without an answer of its own: net/http
// would send a 200.
func (p *Public) callback(c *gin.Context, path string) {
	begun := time.Now()
	plan, token, _ := strings.Cut(strings.Trim(path, "/"), "/")
	token = strings.TrimLeft(token, "/")
	h := (*p.webhooks.Load())[plan]
	if h == nil {
		p.unknownPlan(c, plan)
		return
	}
	var t dlr.Type
	outcome := metrics.Failed // if the store panics
	defer func() { p.metrics.Callback(h.plan, t, outcome, time.Since(begun)) }()

	t, outcome, err := p.receive(c, h, token)
	if err != nil {
		outcome = p.refuse(c, h, err)
		return
	}
	if id := requestID(c); id != "" {
		c.Header("X-Request-Id", id)
	}
	c.Status(http.StatusOK)
	if ctx := c.Request.Context(); h.failures.log.Enabled(ctx, slog.LevelDebug) {
		h.failures.log.LogAttrs(ctx, slog.LevelDebug, "callback taken", slog.String("type", string(t)),
			slog.String("outcome", outcome.String()), slog.Duration("took", time.Since(begun)))
	}
}

// take verifies a callback, reads it, and returns when it is durable. The outcome is that of a success.
func (p *Public) receive(c *gin.Context, h *webhook, token string) (dlr.Type, metrics.Outcome, error) {
	if err := h.verifier.head(c.Request, token); err != nil {
		return "", 0, h.unverified(c, err)
	}
	in := &bodyReader{bodies: &p.bodies, connection: http.NewResponseController(c.Writer), begun: time.Now()}
	defer in.releaseAll()
	if h.verifier.hmac != nil {
		in.client = p.clientOf(c)
		in.unverified.enter(in)
		defer in.unverified.leave(in)
	}
	sent, err := in.read(c.Request)
	in.unverified.leave(in)
	if err != nil {
		return "", 0, h.asUnverified(err)
	}
	if s := h.verifier.hmac; s != nil && !s.verifies(c.Request.Header, sent) {
		if err := p.verifyUnpacked(c, h, sent); err != nil {
			return "", 0, err
		}
	}
	body, err := in.unpack(c.Request.Context(), sent)
	if err != nil {
		return "", 0, err
	}
	done, err := in.decode(c.Request.Context(), int64(len(body)))
	if err != nil {
		return "", 0, err
	}
	defer done()
	return p.record(c.Request.Context(), h, body)
}

// verifyUnpacked verifies a body that is not signed as it came: it may be signed as it decompresses.
func (p *Public) verifyUnpacked(c *gin.Context, h *webhook, sent []byte) error {
	if !isGzip(sent) {
		return h.unverified(c, errSignature)
	}
	verified, err := p.unpacking.verify(h.verifier.hmac, c.Request.Header, sent, p.bodies.limit, p.clientOf(c))
	switch _, own := errors.AsType[*problem](err); {
	case verified:
		return nil
	case own:
		return h.asUnverified(err)
	case err != nil:
		return &problem{kind: kindShedUnverified, status: p.bodies.shed, detail: "the same call will do later", cause: err}
	}
	return h.unverified(c, errSignature)
}

// keep makes a verified body durable, as a report if it is one.
func (p *Public) record(ctx context.Context, h *webhook, body []byte) (dlr.Type, metrics.Outcome, error) {
	callback, err := dlr.Parse(body)
	outcome := metrics.Stored
	var news store.News
	switch misread, failed := errors.AsType[*dlr.ParseError](err); {
	case failed:
		outcome, news = metrics.Quarantined, store.Quarantined{Reason: misread.Reason, Type: misread.Type, Raw: body}
		h.quarantined(ctx, misread)
	case callback.Report == nil:
		return callback.Type, metrics.Inbound, nil
	default:
		news = store.Report{Report: callback.Report, Raw: body, Source: store.FromCallback}
	}
	ctx, cancel := context.WithTimeout(ctx, p.storeTimeout)
	defer cancel()
	arrival := store.Arrival{Plan: h.plan, At: time.Now().UTC().Truncate(time.Millisecond), News: news}
	return callback.Type, outcome, p.store.Record(ctx, arrival)
}

// quarantined tells of the first in a while; the API shows them all.
func (h *webhook) quarantined(ctx context.Context, err *dlr.ParseError) {
	if unlogged, ok := h.sampler.allow(kindBadBody); ok {
		h.failures.log.LogAttrs(ctx, slog.LevelWarn, "callback not understood, kept in quarantine",
			slog.String("reason", string(err.Reason)), slog.Any("error", err), slog.Int64("unlogged", unlogged))
	}
}

// unverified is the answer to a callback whose credentials do not verify.
func (h *webhook) unverified(c *gin.Context, err error) error {
	cause := fmt.Errorf("%w; correct the plan's webhook.auth, or what Sinch was asked to send", err)
	if h.onFailure == RetryOnFailure {
		return &problem{kind: kindCredentials, detail: "the credentials do not verify", cause: cause}
	}
	if h.verifier.basic != nil {
		c.Header("WWW-Authenticate", `Basic realm="dlrloop", charset="UTF-8"`)
	}
	return &problem{kind: kindUnauthorized, detail: "the credentials do not verify", cause: cause}
}

// early is err where it ended a callback before its body was verified. What anybody can cause counts apart from what happens to
// callbacks that the head of the request verifies.
func (h *webhook) asUnverified(err error) error {
	refused, ok := errors.AsType[*problem](err)
	if !ok || h.verifier.hmac == nil {
		return err
	}
	switch refused.kind {
	case kindTooLarge:
		refused.kind = kindTooLargeUnverified
	case kindShed:
		refused.kind = kindShedUnverified
	}
	return refused
}

// refuse answers and logs what went wrong with a callback, and says what to count it as.
func (p *Public) refuse(c *gin.Context, h *webhook, err error) metrics.Outcome {
	refused := problemOf(err)
	switch refused.kind {
	case kindCredentials, kindUnauthorized, kindTooLarge, kindTooLargeUnverified, kindIncomplete, kindShed, kindShedUnverified, kindBusy:
	default: // whatever it means elsewhere: of a callback it is a fault of ours
		refused = &problem{kind: kindUnavailable, detail: "the same call will do later", cause: err}
	}
	id := refused.answer(c)
	if unlogged, ok := h.sampler.allow(refused.kind); ok {
		h.failures.report(c, refused, id, unlogged)
	}
	if refused.lossy() {
		p.metrics.Lossy(h.plan)
	}
	return outcomeOf(refused.kind)
}

// lossy reports whether the answer loses a callback for good: Sinch repeats after 5xx and 429 only. A callback that was not
// verified does not count: anybody could raise the alert.
func (p *problem) lossy() bool {
	if p.kind == kindUnauthorized || p.kind == kindTooLargeUnverified {
		return false
	}
	status := p.statusCode()
	return status < 500 && status != http.StatusTooManyRequests
}

func outcomeOf(k kind) metrics.Outcome {
	switch k {
	case kindCredentials, kindUnauthorized:
		return metrics.Unauthorized
	case kindTooLarge:
		return metrics.TooLarge
	case kindTooLargeUnverified:
		return metrics.TooLargeUnverified
	case kindShed:
		return metrics.Shed
	case kindShedUnverified:
		return metrics.ShedUnverified
	case kindIncomplete:
		return metrics.Incomplete
	case kindBusy:
		return metrics.Busy
	}
	return metrics.Failed
}
