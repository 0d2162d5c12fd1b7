package api

import (
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// recipientView is the JSON of one recipient of one batch. State is nil until a report names the recipient. Number is
// the whole phone number, which logs and metrics never show.
type recipientView struct {
	Plan     string                `json:"plan"`
	BatchID  string                `json:"batch_id"`
	Number   string                `json:"number"`
	State    *stateView            `json:"state,omitempty"`
	Feedback recipientFeedbackView `json:"feedback"`
	Reports  []recipientReportView `json:"reports"`
}

type stateView struct {
	codeView
	Final      bool    `json:"final"`
	At         instant `json:"at,omitzero"`
	OperatorAt instant `json:"operator_at,omitzero"`
}

type recipientFeedbackView struct {
	State string  `json:"state"`
	At    instant `json:"at,omitzero"`
}

// recipientReportView is the JSON of one report that named the recipient. Effect says whether this report determines
// the recipient's state, and if not, why.
type recipientReportView struct {
	stateView
	ReceivedAt instant `json:"received_at"`
	// CountedAt is the time that decided which report wins, if the report's own time was too far ahead of ReceivedAt.
	CountedAt instant `json:"counted_at,omitzero"`

	Source  string       `json:"source"`
	Repeats int          `json:"repeats"`
	Effect  store.Effect `json:"effect"`
	rawBytes
}

// viewRecipient converts one recipient of a batch to its JSON, without the bodies of the reports. key names the batch,
// and flag says whether the batch wants delivery feedback.
func viewRecipient(key store.BatchKey, flag store.Flag, r *store.Recipient) recipientView {
	v := recipientView{
		Plan:     key.Plan,
		BatchID:  key.BatchID,
		Number:   r.Number,
		Feedback: recipientFeedbackView{State: feedbackState(r.Feedback, flag), At: instant{r.FeedbackAt}},
		Reports:  make([]recipientReportView, 0, len(r.Reports)),
	}
	if s, reported := r.State(); reported {
		state := viewState(s)
		v.State = &state
	}
	effects := r.Effects()
	for i, s := range r.Reports {
		report := recipientReportView{
			stateView:  viewState(s.State),
			ReceivedAt: instant{s.ReceivedAt},
			Source:     s.Source.String(),
			Repeats:    s.Repeats,
			Effect:     effects[i],
		}
		if c := s.Counted(); c != s.State {
			report.CountedAt = instant{c.Time()}
		}
		v.Reports = append(v.Reports, report)
	}
	return v
}

// viewRecipientWithBodies converts one recipient of a batch to its JSON, including the bodies of the reports as far as
// the store kept them. key names the batch, and flag says whether the batch wants delivery feedback.
func viewRecipientWithBodies(key store.BatchKey, flag store.Flag, r store.RecipientWithBodies) recipientView {
	v := viewRecipient(key, flag, r.Recipient)
	for i, body := range r.Bodies {
		v.Reports[i].rawBytes = showRaw(body)
	}
	return v
}

// feedbackState returns the API's name for the feedback state of a recipient or of a whole batch. Feedback that is
// still to be sent (FeedbackOwed) is called "dropped" if the batch does not want feedback (FlagUnwanted), since dlrloop
// will never send it.
func feedbackState(s store.FeedbackState, flag store.Flag) string {
	if s == store.FeedbackOwed && flag == store.FlagUnwanted {
		return "dropped"
	}
	return s.String()
}

func viewState(s dlr.State) stateView {
	return stateView{
		codeView:   viewCode(s.Status, s.Code),
		Final:      s.Status.Final(),
		At:         instant{s.At},
		OperatorAt: instant{s.OperatorAt},
	}
}
