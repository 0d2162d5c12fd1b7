package simulator

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"time"
)

// maxRetries is how often a callback is retried: the last time 2^14 units after the first failure.
const maxRetries = 15

// attempt is one try of a callback. It is kept for ever, so it is small.
type attempt struct {
	at      int64 // Unix milliseconds
	status  int16 // answered; 0 if nothing was
	failure failure
}

// failure says why an attempt had no answer.
type failure uint8

const (
	answered failure = iota
	timedOut
	noConnection
	noURL
	interrupted // Run ended; the attempt is made again when it runs again
)

func (f failure) String() string {
	return [...]string{"", "timeout", "connection error", "no callback url", "interrupted"}[f]
}

// work makes an attempt of c and of whatever its plan sends next, until there is nothing or ctx ends.
func (s *Simulator) work(ctx context.Context, c *callback) {
	for c != nil {
		now := time.Now()
		s.mu.Lock()
		url, nonce := c.target.url, s.nonce(c, now)
		s.unlock()
		made := attempt{at: now.UnixMilli()}
		made.status, made.failure = s.post(ctx, c, url, nonce, now)
		c = s.settle(ctx, c, made)
	}
}

// post makes one attempt of c.
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
	// The transport alone, without http.Client: a redirect is an answer, not an errand.
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

// settle enters the attempt in the ledger, decides what follows from it, and takes the callback that the worker sends next.
func (s *Simulator) settle(ctx context.Context, c *callback, made attempt) *callback {
	now := time.Now()
	s.mu.Lock()
	defer s.unlock()
	p := c.target.plan
	p.inFlight--
	c.attempts = append(c.attempts, made)
	s.counts.Attempts++
	s.tellAttempt(ctx, c, made)
	switch status := made.status; {
	case made.failure == interrupted:
		s.schedule(entry{due: now, callback: c})
	case status >= 200 && status < 300:
		s.acknowledge(c, now)
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
		s.giveUp(ctx, c)
	default:
		if status == http.StatusTooManyRequests {
			c.target.throttle.complain(now)
		}
		s.retry(ctx, c, now)
	}
	if ctx.Err() != nil {
		return nil
	}
	return s.next(p, now)
}

// acknowledge ends c, unless this is its first acknowledgement and a bad day makes Sinch miss it.
func (s *Simulator) acknowledge(c *callback, now time.Time) {
	first := c.outcome == Pending
	if first {
		c.outcome = Acknowledged
		s.counts.Acknowledged++
	}
	if first && c.batch != nil && s.befalls(repeated, c.batch, int(c.recipient), c.stage) {
		again := time.Duration((0.5 + s.dice.share("again", c.subject(0))) * float64(s.config.Pace))
		s.tell(c.happening(CallbackRepeated))
		s.schedule(entry{due: now.Add(again), callback: c})
		return
	}
	s.unsettled--
}

// retry puts c back on the agenda: 1, 2, 4 … units after its first failure.
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

// giveUp ends c for good. A repetition that is refused does not take back the acknowledgement before it.
func (s *Simulator) giveUp(ctx context.Context, c *callback) {
	s.unsettled--
	if c.outcome != Pending {
		return
	}
	c.outcome = GaveUp
	s.counts.GaveUp++
	s.tell(c.happening(CallbackGaveUp))
	s.config.Logger.WarnContext(ctx, "callback given up", slog.Int("callback", c.ordinal), slog.String("type", c.kind()),
		slog.String("batch_id", c.batchID()), slog.Int("attempts", len(c.attempts)))
}

func (s *Simulator) tellAttempt(ctx context.Context, c *callback, made attempt) {
	h := c.happening(CallbackAnswered)
	h.Attempt, h.Answer, h.Failure = len(c.attempts), int(made.status), made.failure.String()
	s.tell(h)
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.config.Logger.DebugContext(ctx, "callback attempted", slog.Int("callback", c.ordinal), slog.String("type", h.Type),
		slog.String("plan", h.Plan), slog.String("batch_id", h.Batch), slog.Any("recipient", masked(h.Recipient)),
		slog.String("status", h.Status), slog.Int("attempt", h.Attempt), slog.Int("answer", h.Answer), slog.String("failure", h.Failure))
}

// nonce makes the nonce of the next attempt of c. A repetition after an acknowledgement keeps the first one half the time.
func (s *Simulator) nonce(c *callback, now time.Time) string {
	turn := len(c.attempts)
	keep := s.config.KeepNonce || c.outcome == Acknowledged && s.dice.share("same nonce", c.subject(0)) < 0.5
	if turn > 0 && keep {
		turn, now = 0, time.UnixMilli(c.attempts[0].at)
	}
	return s.dice.id("nonce", now, c.subject(turn))
}
