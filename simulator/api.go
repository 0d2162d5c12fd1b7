package simulator

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
)

// Operation is the kind of an API call. Faults select calls by it.
type Operation string

const (
	OpSend     Operation = "send"     // POST …/batches
	OpDryRun   Operation = "dry_run"  // POST …/batches/dry_run
	OpList     Operation = "list"     // GET …/batches
	OpBatch    Operation = "batch"    // GET …/batches/{batch}
	OpUpdate   Operation = "update"   // POST …/batches/{batch}
	OpReplace  Operation = "replace"  // PUT …/batches/{batch}
	OpCancel   Operation = "cancel"   // DELETE …/batches/{batch}
	OpReport   Operation = "report"   // the three ways to read delivery reports
	OpFeedback Operation = "feedback" // POST …/batches/{batch}/delivery_feedback
	OpGroup    Operation = "group"    // all of …/groups
)

// mayFail reports whether anomalies affect calls of o: only calls that change nothing and may be repeated, and
// feedback.
func (o Operation) mayFail() bool {
	switch o {
	case OpDryRun, OpList, OpBatch, OpReport, OpFeedback:
		return true
	default:
		return false
	}
}

// maxBody is the size limit of a request body in bytes. A thousand recipients with their own parameters fit.
const maxBody = 4 << 20

// call is one API call while it is handled.
type call struct {
	*http.Request
	operation Operation
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
	operation Operation
	success   int
	handle    func(*call) (any, error)
}

func (s *Simulator) routes() []route {
	return []route{
		{"POST /xms/v1/{plan}/batches", OpSend, http.StatusCreated, s.send},
		{"POST /xms/v1/{plan}/batches/dry_run", OpDryRun, http.StatusOK, s.dryRun},
		{"GET /xms/v1/{plan}/batches", OpList, http.StatusOK, s.listBatches},
		{"GET /xms/v1/{plan}/batches/{batch}", OpBatch, http.StatusOK, s.getBatch},
		{"POST /xms/v1/{plan}/batches/{batch}", OpUpdate, http.StatusOK, s.update},
		{"PUT /xms/v1/{plan}/batches/{batch}", OpReplace, http.StatusOK, s.replace},
		{"DELETE /xms/v1/{plan}/batches/{batch}", OpCancel, http.StatusOK, s.cancel},
		{"POST /xms/v1/{plan}/batches/{batch}/delivery_feedback", OpFeedback, http.StatusAccepted, s.applyFeedback},

		{"GET /xms/v1/{plan}/batches/{batch}/delivery_report", OpReport, http.StatusOK, s.getBatchReport},
		{
			"GET /xms/v1/{plan}/batches/{batch}/delivery_report/{recipient}", OpReport, http.StatusOK,
			s.getRecipientReport,
		},
		{"GET /xms/v1/{plan}/delivery_reports", OpReport, http.StatusOK, s.listReports},

		{"POST /xms/v1/{plan}/groups", OpGroup, http.StatusCreated, s.createGroup},
		{"GET /xms/v1/{plan}/groups", OpGroup, http.StatusOK, s.listGroups},
		{"GET /xms/v1/{plan}/groups/{group}", OpGroup, http.StatusOK, s.getGroup},
		{"POST /xms/v1/{plan}/groups/{group}", OpGroup, http.StatusOK, s.updateGroup},
		{"PUT /xms/v1/{plan}/groups/{group}", OpGroup, http.StatusOK, s.replaceGroup},
		{"DELETE /xms/v1/{plan}/groups/{group}", OpGroup, http.StatusOK, s.deleteGroup},
		{"GET /xms/v1/{plan}/groups/{group}/members", OpGroup, http.StatusOK, s.groupMembers},
	}
}

// API returns the handler of all operations under /xms/v1/{plan}/. net/http answers an unknown path with 404 and a
// wrong method with 405.
func (s *Simulator) API() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) {
			s.serve(w, r, &call{Request: req, operation: r.operation, started: time.Now()})
		})
	}
	return mux
}

// serve handles one call. The call is in the ledger before its answer is sent.
func (s *Simulator) serve(w http.ResponseWriter, r route, c *call) {
	if err := s.admit(w, c); err != nil {
		s.answer(w, c, reply{err: err}, callFault{})
		return
	}
	b := s.faultFor(c)
	if !b.delay(c.Context()) {
		s.closeUnanswered(w, c, b)
		return
	}
	var given reply
	if b.Kind.applies() {
		given = reply{status: r.success}
		given.body, given.err = r.handle(c)
	}
	switch b.Kind {
	case FaultHang, FaultReset, FaultAppliedButHang, FaultAppliedButReset:
		s.closeUnanswered(w, c, b)
	case FaultStatus, FaultAppliedBut500:
		s.answer(w, c, reply{status: b.Status}, b)
	default:
		s.answer(w, c, given, b)
	}
}

// admit finds the plan, checks the token, reads the body and applies the plan's request rate.
func (s *Simulator) admit(w http.ResponseWriter, c *call) error {
	c.plan = s.plans[c.PathValue("plan")] // plans are fixed by New
	if c.plan == nil {
		return withoutBody(http.StatusNotFound)
	}
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token != c.plan.Token {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return withoutBody(http.StatusUnauthorized)
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if err := c.read(w); err != nil {
			return err
		}
	}
	if c.plan.requests != nil && !c.plan.requests.AllowN(c.started, 1) {
		return withoutBody(http.StatusTooManyRequests)
	}
	return nil
}

// read reads the body into c and, for a feedback call, parses its recipients.
func (c *call) read(w http.ResponseWriter) error {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return withoutBody(http.StatusUnsupportedMediaType)
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody)); err != nil {
		return invalidJSON("the body is longer than 4 MiB or was cut off")
	}
	if c.operation == OpFeedback {
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
func (s *Simulator) answer(w http.ResponseWriter, c *call, given reply, b callFault) {
	var refused *apiError
	if errors.As(given.err, &refused) {
		given = reply{status: refused.status}
		if refused.Code != "" {
			given.body = refused
		}
	}
	s.recordCall(c, given.status, b.Kind)
	if b.RetryAfter != "" {
		w.Header().Set("Retry-After", b.RetryAfter)
	}
	if given.body == nil {
		if json.Valid([]byte(b.Body)) {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(given.status)
		_, _ = io.WriteString(w, b.Body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(given.status)
	_, _ = w.Write(encode(given.body)) // fails only if the customer has disconnected
}

// closeUnanswered records the call and closes the connection without an answer. A hanging fault delays the close.
func (s *Simulator) closeUnanswered(w http.ResponseWriter, c *call, b callFault) {
	s.recordCall(c, 0, b.Kind)
	b.hang(c.Context())
	closeConnection(w)
}

// recordCall adds a call to the history and emits its events. status is 0 if the call is never answered.
func (s *Simulator) recordCall(c *call, status int, fault FaultKind) {
	entry := Call{
		At: c.started.UTC(), Method: c.Method, Path: c.URL.EscapedPath(), Plan: c.PathValue("plan"),
		Operation: c.operation, Batch: c.batchID(), Status: status, Fault: fault,
	}
	s.mu.Lock()
	defer s.unlock()
	s.calls.push(entry)
	if fault != "" {
		s.emit(Event{
			Kind: FaultInjected, Plan: entry.Plan, Batch: entry.Batch, Operation: c.operation, Answer: status,
			Fault: fault,
		})
	}
	if c.feedback != nil {
		s.recordFeedback(c, status, fault)
	}
	s.config.Logger.DebugContext(c.Context(), "call answered", slog.String("operation", string(c.operation)),
		slog.String("plan", entry.Plan), slog.String("batch_id", entry.Batch), slog.Int("status", status),
		slog.String("fault", string(fault)))
}

// decode parses a request body and ignores unknown members. Member names are case-sensitive, as at Sinch.
func decode(body []byte, into any) error {
	err := json.Unmarshal(exactNames(body), into)
	var refused *apiError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return invalidJSON("the body is not JSON of the expected structure")
}

// exactNames returns a JSON object without the members that only encoding/json would match, since it ignores case:
// all of Sinch's member names consist of lower-case letters and underscores. It returns anything but an object
// unchanged.
func exactNames(body []byte) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	for name := range object {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			delete(object, name)
		}
	}
	return encode(object)
}
