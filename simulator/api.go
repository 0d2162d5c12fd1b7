package simulator

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxBody is the size limit of a request body in bytes. A thousand recipients with their own parameters fit.
const maxBody = 4 << 20

// call is one API call while it is handled.
type call struct {
	*http.Request
	operation fault.Operation
	started   time.Time
	plan      *plan
	body      []byte
	feedback  *FeedbackCall // nil unless the call is feedback; set even if a fault prevents its handling
}

func (c *call) batchID() string { return c.PathValue("batch") }

// route is one API operation. handle returns the value that is written as JSON with the success status (nil: no
// body), or an *apiError.
type route struct {
	pattern   string
	operation fault.Operation
	success   int
	handle    func(*call) (any, error)
}

func (s *Simulator) routes() []route {
	return []route{
		{"POST /xms/v1/{plan}/batches", fault.OpSend, http.StatusCreated, s.send},
		{"POST /xms/v1/{plan}/batches/dry_run", fault.OpDryRun, http.StatusOK, s.dryRun},
		{"GET /xms/v1/{plan}/batches", fault.OpList, http.StatusOK, s.listBatches},
		{"GET /xms/v1/{plan}/batches/{batch}", fault.OpBatch, http.StatusOK, s.getBatch},
		{"POST /xms/v1/{plan}/batches/{batch}", fault.OpUpdate, http.StatusOK, s.update},
		{"PUT /xms/v1/{plan}/batches/{batch}", fault.OpReplace, http.StatusOK, s.replace},
		{"DELETE /xms/v1/{plan}/batches/{batch}", fault.OpCancel, http.StatusOK, s.cancel},
		{"POST /xms/v1/{plan}/batches/{batch}/delivery_feedback", fault.OpFeedback, http.StatusAccepted, s.applyFeedback},

		{"GET /xms/v1/{plan}/batches/{batch}/delivery_report", fault.OpReport, http.StatusOK, s.getBatchReport},
		{
			"GET /xms/v1/{plan}/batches/{batch}/delivery_report/{recipient}", fault.OpReport, http.StatusOK,
			s.getRecipientReport,
		},
		{"GET /xms/v1/{plan}/delivery_reports", fault.OpReport, http.StatusOK, s.listReports},
	}
}

// groupRoutes returns the group operations. They have no other state than the groups of the plan.
func groupRoutes() []route {
	id := func(c *call) string { return c.PathValue("group") }
	list := func(c *call) (any, error) { return c.plan.groups.List(xms.Query(c.Request)) }
	create := func(c *call) (any, error) { return c.plan.groups.Create(c.body) }
	get := func(c *call) (any, error) { return c.plan.groups.Get(id(c)) }
	update := func(c *call) (any, error) { return c.plan.groups.Update(id(c), c.body) }
	replace := func(c *call) (any, error) { return c.plan.groups.Replace(id(c), c.body) }
	remove := func(c *call) (any, error) { return c.plan.groups.Delete(id(c)) }
	members := func(c *call) (any, error) { return c.plan.groups.Members(id(c)) }
	return []route{
		{"POST /xms/v1/{plan}/groups", fault.OpGroup, http.StatusCreated, create},
		{"GET /xms/v1/{plan}/groups", fault.OpGroup, http.StatusOK, list},
		{"GET /xms/v1/{plan}/groups/{group}", fault.OpGroup, http.StatusOK, get},
		{"POST /xms/v1/{plan}/groups/{group}", fault.OpGroup, http.StatusOK, update},
		{"PUT /xms/v1/{plan}/groups/{group}", fault.OpGroup, http.StatusOK, replace},
		{"DELETE /xms/v1/{plan}/groups/{group}", fault.OpGroup, http.StatusOK, remove},
		{"GET /xms/v1/{plan}/groups/{group}/members", fault.OpGroup, http.StatusOK, members},
	}
}

// API returns the handler of all operations under /xms/v1/{plan}/. net/http answers an unknown path with 404 and a
// wrong method with 405.
func (s *Simulator) API() http.Handler {
	mux := http.NewServeMux()
	for _, r := range slices.Concat(s.routes(), groupRoutes()) {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) {
			s.serve(w, r, &call{Request: req, operation: r.operation, started: time.Now()})
		})
	}
	return mux
}

// serve handles one call. The call is in the ledger before its answer is sent.
func (s *Simulator) serve(w http.ResponseWriter, r route, c *call) {
	if err := s.admit(w, c); err != nil {
		s.answer(w, c, reply{err: err}, fault.Hit{})
		return
	}
	hit := s.faultFor(c)
	if !hit.Delay(c.Context()) {
		s.closeUnanswered(w, c, hit)
		return
	}
	var given reply
	if hit.Kind.Applies() {
		given = reply{status: r.success}
		given.body, given.err = r.handle(c)
	}
	switch hit.Kind {
	case fault.Hang, fault.Reset, fault.AppliedButHang, fault.AppliedButReset:
		s.closeUnanswered(w, c, hit)
	case fault.Status, fault.AppliedBut500:
		s.answer(w, c, reply{status: hit.Status}, hit)
	default:
		s.answer(w, c, given, hit)
	}
}

// admit finds the plan, checks the token, reads the body and applies the plan's request rate.
func (s *Simulator) admit(w http.ResponseWriter, c *call) error {
	c.plan = s.plans[c.PathValue("plan")] // plans are fixed by New
	if c.plan == nil {
		return xms.WithoutBody(http.StatusNotFound)
	}
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token != c.plan.Token {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return xms.WithoutBody(http.StatusUnauthorized)
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if err := c.read(w); err != nil {
			return err
		}
	}
	if c.plan.requests != nil && !c.plan.requests.AllowN(c.started, 1) {
		return xms.WithoutBody(http.StatusTooManyRequests)
	}
	return nil
}

// read reads the body into c and, for a feedback call, parses its recipients.
func (c *call) read(w http.ResponseWriter) error {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return xms.WithoutBody(http.StatusUnsupportedMediaType)
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody)); err != nil {
		return xms.InvalidJSON("the body is longer than 4 MiB or was cut off")
	}
	if c.operation == fault.OpFeedback {
		c.feedback = &FeedbackCall{}
		_ = c.feedback.read(c.body) // applyFeedback parses it again and answers the error
	}
	return nil
}

// reply is the answer to a call: err if it is set, else status and body, which may be nil.
type reply struct {
	status int
	body   any
	err    error
}

// answer records the call and writes its answer.
func (s *Simulator) answer(w http.ResponseWriter, c *call, given reply, hit fault.Hit) {
	var refused *xms.Error
	if errors.As(given.err, &refused) {
		given = reply{status: refused.Status}
		if refused.Code != "" {
			given.body = refused
		}
	}
	s.recordCall(c, given.status, hit.Kind)
	if hit.RetryAfter != "" {
		w.Header().Set("Retry-After", hit.RetryAfter)
	}
	if given.body == nil {
		if json.Valid([]byte(hit.Body)) {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(given.status)
		_, _ = io.WriteString(w, hit.Body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(given.status)
	_, _ = w.Write(xms.Encode(given.body)) // fails only if the customer has disconnected
}

// closeUnanswered records the call and closes the connection without an answer. A hanging fault delays the close.
func (s *Simulator) closeUnanswered(w http.ResponseWriter, c *call, hit fault.Hit) {
	s.recordCall(c, 0, hit.Kind)
	hit.Hang(c.Context())
	closeConnection(w)
}

// recordCall adds a call to the history and emits its events. status is 0 if the call is never answered.
func (s *Simulator) recordCall(c *call, status int, kind fault.Kind) {
	entry := Call{
		At: c.started.UTC(), Method: c.Method, Path: c.URL.EscapedPath(), Plan: c.PathValue("plan"),
		Operation: c.operation, Batch: c.batchID(), Status: status, Fault: kind,
	}
	s.mu.Lock()
	defer s.unlock()
	s.calls.push(entry)
	if kind != "" {
		s.emit(Event{
			Kind: FaultInjected, Plan: entry.Plan, Batch: entry.Batch, Operation: c.operation, Answer: status,
			Fault: kind,
		})
	}
	if c.feedback != nil {
		s.recordFeedback(c, status, kind)
	}
	s.config.Logger.DebugContext(c.Context(), "call answered", slog.String("operation", string(c.operation)),
		slog.String("plan", entry.Plan), slog.String("batch_id", entry.Batch), slog.Int("status", status),
		slog.String("fault", string(kind)))
}
