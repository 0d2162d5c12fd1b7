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

// Operation is what a call of the API asks for; faults are set by it.
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

// mayGoWrong says whether bad days befall calls of o: those that may be repeated and leave everything as it is, and feedback.
func (o Operation) mayGoWrong() bool {
	switch o {
	case OpDryRun, OpList, OpBatch, OpReport, OpFeedback:
		return true
	default:
		return false
	}
}

// maxBody bounds the body of a call: a thousand recipients with parameters of their own fit.
const maxBody = 4 << 20

// call is one call of the API on its way through.
type call struct {
	*http.Request
	operation Operation
	started   time.Time
	plan      *plan
	body      []byte
	feedback  *FeedbackCall // of a feedback call, even one that a fault keeps from being handled
}

func (c *call) batchID() string { return c.PathValue("batch") }

// route is one operation: handle returns what is written as JSON with the success status, or nil for no body, or a *refusal.
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
		{"POST /xms/v1/{plan}/batches/{batch}/delivery_feedback", OpFeedback, http.StatusAccepted, s.takeFeedback},

		{"GET /xms/v1/{plan}/batches/{batch}/delivery_report", OpReport, http.StatusOK, s.getBatchReport},
		{"GET /xms/v1/{plan}/batches/{batch}/delivery_report/{recipient}", OpReport, http.StatusOK, s.getRecipientReport},
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

// API is what customers call: the operations under /xms/v1/{plan}/. A path that is none answers 404, a method that is none
// of the path's 405, both as net/http writes them.
func (s *Simulator) API() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) {
			s.serve(w, r, &call{Request: req, operation: r.operation, started: time.Now()})
		})
	}
	return mux
}

// serve takes one call from admission to answer. What happened is in the ledger before the answer leaves.
func (s *Simulator) serve(w http.ResponseWriter, r route, c *call) {
	if err := s.admit(w, c); err != nil {
		s.answer(w, c, reply{err: err}, blow{})
		return
	}
	b := s.strike(c)
	if !b.delay(c.Context()) {
		s.silence(w, c, b)
		return
	}
	var given reply
	if b.Kind.applies() {
		given = reply{status: r.success}
		given.body, given.err = r.handle(c)
	}
	switch b.Kind {
	case FaultHang, FaultReset, FaultAppliedButHang, FaultAppliedButReset:
		s.silence(w, c, b)
	case FaultStatus, FaultAppliedBut500:
		s.answer(w, c, reply{status: b.Status}, b)
	default:
		s.answer(w, c, given, b)
	}
}

// admit identifies the plan, checks its token, reads the body, and counts the request against the plan's rate.
func (s *Simulator) admit(w http.ResponseWriter, c *call) error {
	c.plan = s.plans[c.PathValue("plan")] // plans are fixed by New
	if c.plan == nil {
		return bare(http.StatusNotFound)
	}
	if scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " "); !strings.EqualFold(scheme, "Bearer") || token != c.plan.Token {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return bare(http.StatusUnauthorized)
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if err := c.read(w); err != nil {
			return err
		}
	}
	if c.plan.requests != nil && !c.plan.requests.AllowN(c.started, 1) {
		return bare(http.StatusTooManyRequests)
	}
	return nil
}

// read reads the body.
func (c *call) read(w http.ResponseWriter) error {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return bare(http.StatusUnsupportedMediaType)
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody)); err != nil {
		return invalidJSON("the body is longer than 4 MiB or was cut off")
	}
	if c.operation == OpFeedback {
		c.feedback = &FeedbackCall{}
		_ = c.feedback.read(c.body) // handled again, and then its error answered, unless a fault comes first
	}
	return nil
}

// reply is what a call is answered with: the error if there is one, else the status and a body that may be nil.
type reply struct {
	status int
	body   any
	err    error
}

// answer enters the call in the ledger and answers it.
func (s *Simulator) answer(w http.ResponseWriter, c *call, given reply, b blow) {
	var refused *refusal
	if errors.As(given.err, &refused) {
		given = reply{status: refused.status}
		if refused.Code != "" {
			given.body = refused
		}
	}
	s.enter(c, given.status, b.Kind)
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
	_, _ = w.Write(encode(given.body)) // the customer may be gone
}

// silence enters the call in the ledger and cuts the connection without an answer, after a hang if the fault is one.
func (s *Simulator) silence(w http.ResponseWriter, c *call, b blow) {
	s.enter(c, 0, b.Kind)
	b.hang(c.Context())
	cut(w)
}

// enter records an answered call, or one that will never be answered: then status is 0.
func (s *Simulator) enter(c *call, status int, fault FaultKind) {
	entry := Call{
		At: c.started.UTC(), Method: c.Method, Path: c.URL.EscapedPath(), Plan: c.PathValue("plan"), Operation: c.operation,
		Batch: c.batchID(), Status: status, Fault: fault,
	}
	s.mu.Lock()
	defer s.unlock()
	s.calls.push(entry)
	if fault != "" {
		s.tell(Event{Kind: FaultInjected, Plan: entry.Plan, Batch: entry.Batch, Operation: c.operation, Answer: status, Fault: fault})
	}
	if c.feedback != nil {
		s.enterFeedback(c, status, fault)
	}
	s.config.Logger.DebugContext(c.Context(), "call answered", slog.String("operation", string(c.operation)), slog.String("plan", entry.Plan),
		slog.String("batch_id", entry.Batch), slog.Int("status", status), slog.String("fault", string(fault)))
}

// decode reads a request body of which unknown members are nobody's business. Names of members are compared exactly, as
// Sinch does.
func decode(body []byte, into any) error {
	err := json.Unmarshal(exactNames(body), into)
	var refused *refusal
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return invalidJSON("the body is not JSON of the expected structure")
}

// exactNames returns an object without the members that only encoding/json takes for one of ours, since it ignores case: all
// of Sinch's names are of lower-case letters and underscores. What is not an object stays as it is.
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
