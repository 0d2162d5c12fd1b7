package callbacks

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxRetries is how many times a failed callback is sent again. After that, the simulator gives it up.
const maxRetries = 15

// attempt is the result of one HTTP request that sent a callback. It is small, since there may be millions.
type attempt struct {
	at      int64 // Unix milliseconds, smaller than a time.Time
	status  int16 // HTTP status; 0 if there was no answer
	failure failure
}

// failure says why a request that sent a callback got no HTTP answer. The zero value is the constant answered, which
// means that the request got an answer.
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

// sendAll sends callback c and then, one after the other, further callbacks of the same account. It blocks until none
// may be sent now or ctx ends. Sender.Run calls it in a new goroutine. The caller must not hold s.mu.
func (s *Sender) sendAll(ctx context.Context, c *callback) {
	for c != nil {
		now := time.Now()
		s.mu.Lock()
		url, nonce := c.target.url, s.nonce(c, now)
		s.mu.Unlock()
		outcome := attempt{at: now.UnixMilli()}
		outcome.status, outcome.failure = s.post(ctx, c, url, nonce, now)
		c = s.finishAttempt(ctx, c, outcome)
	}
}

// post makes one HTTP request that sends callback c to url, signed with the given nonce and time. It blocks until the
// answer comes, Config.Timeout has passed or ctx ends. It returns the HTTP status of the answer, or 0 and the reason
// why there was no answer.
func (s *Sender) post(ctx context.Context, c *callback, url, nonce string, now time.Time) (int16, failure) {
	limited, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	body := c.message.Body()
	req, err := http.NewRequestWithContext(limited, http.MethodPost, url, bytes.NewReader(body))
	if url == "" || err != nil {
		return 0, noURL
	}
	account := c.target.account.config
	maps.Copy(req.Header, account.Header)
	req.Header.Set("Content-Type", "application/json")
	if account.Secret != "" {
		sign(req.Header, account.Secret, body, nonce, now)
	}
	// No http.Client: it would follow redirects.
	res, err := s.config.Transport.RoundTrip(req)
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

// finishAttempt records the result of one request that sent callback c, and then acknowledges, retries or gives up c.
// It returns the account's next callback to send, or nil if ctx has ended or no callback may be sent now.
func (s *Sender) finishAttempt(ctx context.Context, c *callback, outcome attempt) *callback {
	now := time.Now()
	defer s.config.Feed.Flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	account := c.target.account
	account.inFlight--
	c.attempts = append(c.attempts, outcome)
	s.counts.Attempts++
	s.reportAttempt(ctx, c, outcome)
	switch status := outcome.status; {
	case outcome.failure == interrupted:
		s.schedule.Add(now, work{callback: c})
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
	return account.next(now)
}

// acknowledge handles a 2xx answer to callback c. After the first such answer, it schedules c once more if
// Message.SentAgain returns true. The caller must hold s.mu.
func (s *Sender) acknowledge(c *callback, now time.Time) {
	first := c.result == ledger.Pending
	if first {
		c.result = ledger.Acknowledged
		s.counts.Acknowledged++
	}
	if first && c.message.SentAgain() {
		again := time.Duration((0.5 + s.config.Random.Float64("again", c.message.Subject(0))) * float64(s.config.RepeatAfter))
		s.config.Feed.Add(c.entry(ledger.CallbackRepeated))
		s.schedule.Add(now.Add(again), work{callback: c})
		return
	}
	s.counts.Unsettled--
}

// retry schedules callback c, which has failed, to be sent again. The retries come 1, 2, 4 … times Config.RetryUnit
// after the first failure, not after the latest. After 15 retries (maxRetries), retry gives the callback up instead.
// The caller must hold s.mu.
func (s *Sender) retry(ctx context.Context, c *callback, now time.Time) {
	if c.retries == maxRetries {
		s.giveUp(ctx, c)
		return
	}
	if c.retries == 0 {
		c.failed = now
	}
	s.schedule.Add(c.failed.Add(s.config.RetryUnit<<c.retries), work{callback: c})
	c.retries++
}

// giveUp stops sending callback c. The result of c becomes GaveUp, or stays Acknowledged if c was answered 2xx before.
// The caller must hold s.mu.
func (s *Sender) giveUp(ctx context.Context, c *callback) {
	s.counts.Unsettled--
	if c.result != ledger.Pending {
		return
	}
	c.result = ledger.GaveUp
	s.counts.GaveUp++
	e := c.entry(ledger.CallbackGaveUp)
	s.config.Feed.Add(e)
	s.config.Logger.WarnContext(ctx, "callback given up", slog.Int("callback", c.ordinal),
		slog.String("type", e.Type), slog.String("batch_id", e.Batch), slog.Int("attempts", len(c.attempts)))
}

// reportAttempt passes the latest attempt to send callback c, and its answer, to the observers of Config.Feed and to
// the debug log. The caller must hold s.mu.
func (s *Sender) reportAttempt(ctx context.Context, c *callback, outcome attempt) {
	e := c.entry(ledger.CallbackAnswered)
	e.Attempt, e.Answer, e.Failure = len(c.attempts), int(outcome.status), outcome.failure.String()
	s.config.Feed.Add(e)
	if !s.config.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.config.Logger.DebugContext(ctx, "callback attempted", slog.Int("callback", c.ordinal),
		slog.String("type", e.Type), slog.String("plan", e.Plan), slog.String("batch_id", e.Batch),
		slog.Any("recipient", xms.Masked(e.Recipient)), slog.String("status", e.Status), slog.Int("attempt", e.Attempt),
		slog.Int("answer", e.Answer), slog.String("failure", e.Failure))
}

// nonce returns the random text to sign with the next request that sends callback c. With Config.KeepNonce, all
// requests for a callback have the same nonce. Otherwise each request has a new nonce, with one exception: half of the
// callbacks that are sent again after a 2xx answer reuse their first nonce.
func (s *Sender) nonce(c *callback, now time.Time) string {
	turn := len(c.attempts)
	keep := s.config.KeepNonce ||
		c.result == ledger.Acknowledged && s.config.Random.Float64("same nonce", c.message.Subject(0)) < 0.5
	if turn > 0 && keep {
		turn, now = 0, time.UnixMilli(c.attempts[0].at)
	}
	return s.config.Random.ID("nonce", now, c.message.Subject(turn))
}
