package sinch

import (
	"context"
	"errors"
	"net/http"

	"github.com/dlrloop/dlrloop/dlr"
)

// MaxRecipients is how many recipients one feedback call may name. Sinch publishes no limit for it; 1000 is its limit for
// the recipients of a batch.
const MaxRecipients = 1000

// ErrRecipients means that a feedback was refused before any call: it must name between 1 and MaxRecipients recipients,
// each of them a number (dlr.MSISDN).
var ErrRecipients = errors.New("feedback must name between 1 and 1000 recipients by numbers of 1 to 15 digits")

// Feedback tells Sinch that these recipients received the batch. It sends the digits of each number, once. Sinch reads an
// empty list as every recipient, so Feedback refuses one; FeedbackEveryone says that. A call may be repeated. Sinch answers
// 404 both for a batch that it does not know and for one that was sent without feedback_enabled.
func (c *Client) Feedback(ctx context.Context, batchID string, recipients []string) error {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return failed(SendFeedback, ErrRecipients)
	}
	numbers, seen := make([]string, 0, len(recipients)), make(map[string]bool, len(recipients))
	for _, r := range recipients {
		digits, ok := dlr.MSISDN(r)
		if !ok {
			return failed(SendFeedback, ErrRecipients)
		}
		if !seen[digits] {
			seen[digits] = true
			numbers = append(numbers, digits)
		}
	}
	return c.feedback(ctx, batchID, numbers)
}

// FeedbackEveryone tells Sinch that every recipient of the batch received it. Sinch refuses it for a batch that was sent
// to a group. It may be repeated.
func (c *Client) FeedbackEveryone(ctx context.Context, batchID string) error {
	return c.feedback(ctx, batchID, []string{}) // an empty list, not null
}

func (c *Client) feedback(ctx context.Context, batchID string, recipients []string) error {
	path, err := batchPath(batchID, "/delivery_feedback")
	if err != nil {
		return failed(SendFeedback, err)
	}
	// The status of a success is the answer: its body is not read unless it is a web page.
	_, err = c.do(ctx, call{operation: SendFeedback, method: http.MethodPost, path: path, body: wireFeedback{recipients}})
	return err
}

type wireFeedback struct {
	Recipients []string `json:"recipients"`
}
