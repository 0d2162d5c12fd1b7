package api

import (
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// batchView is the JSON of one batch in the API's answers. Info is nil while nothing is known about how the batch was
// sent. Fetch is nil if no report has to be fetched from Sinch.
type batchView struct {
	Plan            string  `json:"plan"`
	ID              string  `json:"id"`
	FirstAt         instant `json:"first_at,omitzero"`
	LastAt          instant `json:"last_at,omitzero"`
	ClientReference string  `json:"client_reference,omitempty"`
	Total           int     `json:"total"`
	Missing         int     `json:"missing"`
	// Counts holds messages by status; see counts. RecipientsByStatus counts only recipients known by number.
	Counts             map[dlr.Status]int `json:"counts"`
	RecipientsByStatus map[dlr.Status]int `json:"recipients_by_status"`
	Reported           []reportedView     `json:"reported"`
	Feedback           feedbackView       `json:"feedback"`
	Info               *infoView          `json:"info,omitempty"`
	Fetch              *fetchView         `json:"fetch,omitempty"`
	Reports            []batchReportView  `json:"reports"`
}

// codeView is the JSON of a delivery status and an error code, with the documented name and class of the code. Code is
// nil, and left out of the JSON, if the report has no code (dlr.NoCode).
type codeView struct {
	Status dlr.Status `json:"status"`
	Code   *int       `json:"code,omitempty"`
	Name   string     `json:"name"`
	Class  dlr.Class  `json:"class"`
}

type reportedView struct {
	codeView
	Named    int `json:"named"`
	Claimed  int `json:"claimed"`
	Messages int `json:"messages"`
}

type feedbackView struct {
	Flag             string    `json:"flag"`
	Owed             int       `json:"owed"`
	Sent             int       `json:"sent"`
	Dead             int       `json:"dead"`
	Dropped          int       `json:"dropped"`
	WholeBatch       string    `json:"whole_batch,omitempty"`
	FullReportNeeded bool      `json:"full_report_needed"`
	Task             *taskView `json:"task,omitempty"`
	DeadInfo         *deadView `json:"dead_info,omitempty"`
}

type taskView struct {
	Due      instant      `json:"due"`
	Since    instant      `json:"since"`
	Attempts int          `json:"attempts"`
	Reason   store.Reason `json:"reason,omitempty"`
	Detail   string       `json:"detail,omitempty"`
}

type deadView struct {
	At               instant      `json:"at"`
	Reason           store.Reason `json:"reason"`
	Detail           string       `json:"detail,omitempty"`
	FullReportUnread bool         `json:"full_report_unread"`
}

type infoView struct {
	Unknown         bool    `json:"unknown"`
	FeedbackEnabled bool    `json:"feedback_enabled"`
	ReportKind      string  `json:"delivery_report,omitempty"`
	ClientReference string  `json:"client_reference,omitempty"`
	Recipients      int     `json:"recipients"`
	Groups          int     `json:"groups"`
	Canceled        bool    `json:"canceled"`
	CreatedAt       instant `json:"created_at,omitzero"`
	ModifiedAt      instant `json:"modified_at,omitzero"`
	SendAt          instant `json:"send_at,omitzero"`
	ExpireAt        instant `json:"expire_at,omitzero"`
	Source          string  `json:"source"`
}

// fetchView shows when dlrloop will next ask Sinch for the missing reports of a batch. Attempts counts the fetches
// since the last new report. If Ended is true, dlrloop will not fetch again, and Due is left out.
type fetchView struct {
	Due      instant `json:"due,omitzero"`
	Attempts int     `json:"attempts"`
	Ended    bool    `json:"ended"`
}

type batchReportView struct {
	Type       dlr.Type `json:"type"`
	ReceivedAt instant  `json:"received_at"`
	Source     string   `json:"source"`
	Repeats    int      `json:"repeats"`
}

func viewBatch(b *store.Batch) batchView {
	return batchView{
		Plan:               b.Plan,
		ID:                 b.ID,
		FirstAt:            instant{b.FirstAt},
		LastAt:             instant{b.LastAt},
		ClientReference:    b.ClientReference,
		Total:              b.Total,
		Missing:            b.Missing(),
		Counts:             counts(b),
		RecipientsByStatus: recipientsByStatus(b),
		Reported:           viewAll(b.Reported, viewReported),
		Feedback:           viewFeedback(b),
		Info:               viewInfo(b.Info),
		Fetch:              viewFetch(b.Fetch),
		Reports:            viewAll(b.Reports, viewBatchReport),
	}
}

// counts returns the number of messages of a batch by status. Batch reports count messages, often without naming
// recipients. For a final status the result is the number of recipients in that status or the number in batch reports,
// whichever is larger. For any other status only recipients count, because the messages in batch reports may have left
// that status since then.
func counts(b *store.Batch) map[dlr.Status]int {
	counts := recipientsByStatus(b)
	claimed := make(map[dlr.Status]int)
	for _, r := range b.Reported {
		if r.Status.Final() {
			claimed[r.Status] += r.Claimed
		}
	}
	for status, n := range claimed {
		if n > counts[status] {
			counts[status] = n
		}
	}
	return counts
}

func recipientsByStatus(b *store.Batch) map[dlr.Status]int {
	counts := make(map[dlr.Status]int, len(b.States))
	for status, n := range b.States {
		if n > 0 {
			counts[status] = n
		}
	}
	return counts
}

func viewCode(status dlr.Status, code int) codeView {
	known := dlr.LookupCode(code)
	v := codeView{Status: status, Name: known.Name, Class: known.Class}
	if code != dlr.NoCode {
		v.Code = &code
	}
	return v
}

func viewReported(r store.Reported) reportedView {
	return reportedView{
		codeView: viewCode(r.Status, r.Code), Named: r.Named, Claimed: r.Claimed, Messages: r.Messages(),
	}
}

func viewFeedback(b *store.Batch) feedbackView {
	v := feedbackView{
		Flag: b.Flag.String(),
		Owed: b.Feedback.Owed, Sent: b.Feedback.Sent, Dead: b.Feedback.Dead,
		FullReportNeeded: b.NeedsFullReport,
	}
	if b.WholeBatch != store.FeedbackNone {
		v.WholeBatch = feedbackState(b.WholeBatch, b.Flag)
	}
	if b.Flag == store.FlagUnwanted {
		v.Owed, v.Dropped = 0, v.Owed
	}
	if t := b.Task; t != nil {
		v.Task = &taskView{
			Due: instant{t.Due}, Since: instant{t.Since}, Attempts: t.Attempts, Reason: t.Reason, Detail: t.Detail,
		}
	}
	if d := b.Dead; d != nil {
		v.DeadInfo = &deadView{At: instant{d.At}, Reason: d.Reason, Detail: d.Detail, FullReportUnread: d.FullReport}
	}
	return v
}

func viewInfo(f *store.BatchInfo) *infoView {
	if f == nil {
		return nil
	}
	return &infoView{
		Unknown:         f.Unknown,
		FeedbackEnabled: f.FeedbackEnabled,
		ReportKind:      f.ReportKind,
		ClientReference: f.ClientReference,
		Recipients:      f.Recipients,
		Groups:          f.Groups,
		Canceled:        f.Canceled,
		CreatedAt:       instant{f.CreatedAt},
		ModifiedAt:      instant{f.ModifiedAt},
		SendAt:          instant{f.SendAt},
		ExpireAt:        instant{f.ExpireAt},
		Source:          f.Source.String(),
	}
}

func viewFetch(c *store.ReportFetch) *fetchView {
	if c == nil {
		return nil
	}
	return &fetchView{Due: instant{c.Due}, Attempts: c.Attempts, Ended: c.Due.IsZero()}
}

func viewBatchReport(r store.BatchReport) batchReportView {
	return batchReportView{
		Type: r.Type, ReceivedAt: instant{r.ReceivedAt}, Source: r.Source.String(), Repeats: r.Repeats,
	}
}
