package callbacks

import (
	"net/http"
	"time"
)

// AccountConfig configures the callbacks of one service plan (a customer account at Sinch), for Sender.NewAccount. Only
// ID is required.
type AccountConfig struct {
	ID     string // of the plan
	URL    string // default callback URL; may be empty
	Secret string // HMAC key, used as text; if empty, callbacks are not signed
	Header http.Header
}

// Account sends the callbacks of one service plan (a customer account at Sinch). Create it with Sender.NewAccount. All
// exported methods are safe for concurrent use.
type Account struct {
	config AccountConfig
	sender *Sender

	// The mutex of sender guards the fields below and everything they point to.
	defaultTarget *target            // the default callback URL; SetURL changes it
	targets       map[string]*target // by callback_url of batches
	ready         queue[*target]     // targets with waiting callbacks that their throttle does not hold back
	inFlight      int
}

// target is one URL to which an account sends callbacks. It has a queue of waiting callbacks and a rate limit of its
// own. The mutex of the Sender guards it.
type target struct {
	account   *Account
	url       string
	waiting   queue[*callback] // due, oldest first
	scheduled bool             // in the account's ready queue, or throttled with an entry in the schedule
	throttle  throttle
}

// SetURL replaces the account's default callback URL, also for callbacks that are already waiting. While the default is
// empty, all callbacks that need it fail and are retried. Callbacks to a batch's own callback_url are not affected.
func (a *Account) SetURL(url string) {
	a.sender.mu.Lock()
	defer a.sender.mu.Unlock()
	a.defaultTarget.url = url
	a.defaultTarget.throttle = throttle{}
}

// HasURL reports whether the account has a default callback URL.
func (a *Account) HasURL() bool {
	a.sender.mu.Lock()
	defer a.sender.mu.Unlock()
	return a.defaultTarget.url != ""
}

// target returns the target for a URL, with its queue of callbacks, and creates it if necessary. An empty url means the
// account's default URL. The caller must hold a.sender.mu.
func (a *Account) target(url string) *target {
	if url == "" {
		return a.defaultTarget
	}
	t := a.targets[url]
	if t == nil {
		t = &target{account: a, url: url}
		a.targets[url] = t
	}
	return t
}

func (t *target) enqueue(c *callback) {
	t.waiting.push(c)
	if !t.scheduled {
		t.scheduled = true
		t.account.ready.push(t)
	}
}

// next takes the callback to send next out of the queue that it waits in and returns it. It returns nil if no callback
// is due, or if rate limits or Config.MaxInFlight allow none now. The caller must hold a.sender.mu.
func (a *Account) next(now time.Time) *callback {
	for a.inFlight < a.sender.config.MaxInFlight && a.ready.len() > 0 {
		t := a.ready.pop()
		if wait := t.throttle.reserve(now); wait > 0 {
			a.sender.schedule.Add(now.Add(wait), work{target: t})
			continue
		}
		c := t.waiting.pop()
		t.scheduled = t.waiting.len() > 0
		if t.scheduled {
			a.ready.push(t)
		}
		a.inFlight++
		return c
	}
	return nil
}

// queue is a first-in, first-out queue. The zero value is empty and ready to use. Its method pop panics if the queue is
// empty.
type queue[T any] struct {
	items   []T
	removed int
}

func (q *queue[T]) len() int { return len(q.items) - q.removed }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) pop() T {
	var zero T
	item := q.items[q.removed]
	q.items[q.removed] = zero
	q.removed++
	if q.removed == len(q.items) {
		q.items, q.removed = q.items[:0], 0
	}
	return item
}
