package simulator

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxRetries is the number of retries of a callback. The last is sent 2^14 units after the first failure.
const maxRetries = 15

// attempt is one attempt of a callback. The ledger keeps all attempts, so the struct is small.
type attempt struct {
	at      int64 // Unix milliseconds
	status  int16 // HTTP status; 0 if there was no answer
	failure failure
}

// failure is the reason why an attempt had no answer.
type failure uint8

const (
	answered failure = iota
	timedOut
	noConnection
	noURL
	interrupted // the context of Run ended; the next Run makes the attempt again
)

func (f failure) String() string {
	return [...]string{"", "timeout", "connection error", "no callback url", "interrupted"}[f]
}

// work makes an attempt of c, then of the callbacks that its plan sends next. It returns when there are none or ctx
// ends.
func (s *Simulator) work(ctx context.Context, c *callback) {
	for c != nil {
		now := time.Now()
		s.mu.Lock()
		url, nonce := c.target.url, s.nonce(c, now)
		s.unlock()
		made := attempt{at: now.UnixMilli()}
		made.status, made.failure = s.post(ctx, c, url, nonce, now)
		c = s.finishAttempt(ctx, c, made)
	}
}

// post makes one attempt of callback c at url. It returns the HTTP status of the answer, or 0 and the failure.
func (s *Simulator) post(ctx context.Context, c *callback, url, nonce string, now time.Time) (int16, failure) {
	limited, cancel := context.WithTimeout(ctx, s.config.CallbackTimeout)
	defer cancel()
	body := s.content(c)
	req, err := http.NewRequestWithContext(limited, http.MethodPost, url, bytes.NewReader(body))
	if url == "" || err != nil {
		return 0, noURL
	}
	p := c.target.plan
	maps.Copy(req.Header, p.CallbackHeader)
	req.Header.Set("Content-Type", "application/json")
	if p.Secret != "" {
		sign(req.Header, p.Secret, body, nonce, now)
	}
	// No http.Client: it would follow redirects.
	res, err := s.transport.RoundTrip(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
		_ = res.Body.Close()
		return int16(res.StatusCode), answered
	}
	switch {
	case ctx.Err() != nil:
		return 0, interrupted
	case limited.Err() != nil:
		return 0, timedOut
	default:
		return 0, noConnection
	}
}

// finishAttempt records an attempt of c, acknowledges, retries or gives up c, and returns the callback that the
// worker sends next, or nil.
func (s *Simulator) finishAttempt(ctx context.Context, c *callback, made attempt) *callback {
	now := time.Now()
	s.mu.Lock()
	defer s.unlock()
	p := c.target.plan
	p.inFlight--
	c.attempts = append(c.attempts, made)
	s.counts.Attempts++
	s.emitAttempt(ctx, c, made)
	switch status := made.status; {
	case made.failure == interrupted:
		s.schedule(entry{due: now, callback: c})
	case status >= 200 && status < 300:
		s.acknowledge(c, now)
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		s.giveUp(ctx, c)
	default:
		if status == http.StatusTooManyRequests {
			c.target.throttle.slowDown(now)
		}
		s.retry(ctx, c, now)
	}
	if ctx.Err() != nil {
		return nil
	}
	return s.next(p, now)
}

// acknowledge ends callback c. After the first acknowledgement, the anomaly repeated may send c once more.
func (s *Simulator) acknowledge(c *callback, now time.Time) {
	first := c.outcome == Pending
	if first {
		c.outcome = Acknowledged
		s.counts.Acknowledged++
	}
	if first && c.batch != nil && s.occurs(repeated, c.batch, int(c.recipient), c.stage) {
		again := time.Duration((0.5 + s.dice.fraction("again", c.subject(0))) * float64(s.config.Pace))
		s.emit(c.event(CallbackRepeated))
		s.schedule(entry{due: now.Add(again), callback: c})
		return
	}
	s.unsettled--
}

// retry schedules the next attempt of callback c: 1, 2, 4 … times Config.RetryUnit after its first failure. After
// maxRetries it gives c up.
func (s *Simulator) retry(ctx context.Context, c *callback, now time.Time) {
	if c.retries == maxRetries {
		s.giveUp(ctx, c)
		return
	}
	if c.retries == 0 {
		c.failed = now
	}
	s.schedule(entry{due: c.failed.Add(s.config.RetryUnit << c.retries), callback: c})
	c.retries++
}

// giveUp ends c. If a repetition fails, c stays acknowledged.
func (s *Simulator) giveUp(ctx context.Context, c *callback) {
	s.unsettled--
	if c.outcome != Pending {
		return
	}
	c.outcome = GaveUp
	s.counts.GaveUp++
	s.emit(c.event(CallbackGaveUp))
	s.config.Logger.WarnContext(ctx, "callback given up", slog.Int("callback", c.ordinal),
		slog.String("type", c.kind()), slog.String("batch_id", c.batchID()), slog.Int("attempts", len(c.attempts)))
}

func (s *Simulator) emitAttempt(ctx context.Context, c *callback, made attempt) {
	h := c.event(CallbackAnswered)
	h.Attempt, h.Answer, h.Failure = len(c.attempts), int(made.status), made.failure.String()
	s.emit(h)
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.config.Logger.DebugContext(ctx, "callback attempted", slog.Int("callback", c.ordinal),
		slog.String("type", h.Type), slog.String("plan", h.Plan), slog.String("batch_id", h.Batch),
		slog.Any("recipient", xms.Masked(h.Recipient)), slog.String("status", h.Status), slog.Int("attempt", h.Attempt),
		slog.Int("answer", h.Answer), slog.String("failure", h.Failure))
}

// nonce returns the nonce of the next attempt of c. A repetition after an acknowledgement reuses the first nonce in
// half of all cases.
func (s *Simulator) nonce(c *callback, now time.Time) string {
	turn := len(c.attempts)
	keep := s.config.KeepNonce || c.outcome == Acknowledged && s.dice.fraction("same nonce", c.subject(0)) < 0.5
	if turn > 0 && keep {
		turn, now = 0, time.UnixMilli(c.attempts[0].at)
	}
	return s.dice.id("nonce", now, c.subject(turn))
}
