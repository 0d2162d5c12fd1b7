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

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxBody limits the body of an API request, in bytes. A longer body is answered 400.
const maxBody = 4 << 20 // fits 1000 recipients with parameter values of their own

// api is the HTTP server of the simulated Sinch API. Its fields point to the state of a Simulator, which it shares.
type api struct {
	plans   map[string]*plan
	faults  *fault.Set
	history *history
	feed    *ledger.Feed
	logger  *slog.Logger
}

// call is one API request while it is handled, with its start time and what the simulator has read from it so far: the
// operation, the plan and the body.
type call struct {
	*http.Request
	operation fault.Operation
	started   time.Time
	plan      *plan
	body      []byte
	feedback  *ledger.FeedbackCall // nil unless the call is feedback; set even if a fault prevents its handling
}

func (c *call) batchID() string { return c.PathValue("batch") }

// handler returns the handler of all API routes. net/http answers an unknown path with 404 and a wrong method with 405.
func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes() {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) {
			a.serve(w, r, &call{Request: req, operation: r.operation, started: time.Now()})
		})
	}
	return mux
}

// serve answers API call c and records it. It first checks the call and looks for a fault (a simulated failure) that
// matches it. It then executes the operation of route r, unless the call is refused or the fault prevents it.
func (a *api) serve(w http.ResponseWriter, r route, c *call) {
	if err := admit(w, c, a.plans[c.PathValue("plan")]); err != nil {
		a.answer(w, c, reply{err: err}, fault.Hit{})
		return
	}
	hit := a.faultFor(c)
	if !hit.Delay(c.Context()) {
		a.closeUnanswered(w, c, hit)
		return
	}
	var given reply
	if hit.Kind.Applies() {
		given = reply{status: r.success}
		given.body, given.err = r.handle(c)
	}
	switch hit.Kind {
	case fault.Hang, fault.Reset, fault.AppliedButHang, fault.AppliedButReset:
		a.closeUnanswered(w, c, hit)
	case fault.Status, fault.AppliedBut500:
		a.answer(w, c, reply{status: hit.Status}, hit)
	default:
		a.answer(w, c, given, hit)
	}
}

// admit checks the plan and the token of a call, reads its body into c.body and enforces the plan's request rate. If
// the call must be refused, it returns the answer as an *xms.Error. p is nil if the call names a plan that does not
// exist.
func admit(w http.ResponseWriter, c *call, p *plan) error {
	c.plan = p
	if p == nil {
		return xms.WithoutBody(http.StatusNotFound)
	}
	scheme, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token != p.Token {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return xms.WithoutBody(http.StatusUnauthorized)
	}
	if c.Method == http.MethodPost || c.Method == http.MethodPut {
		if err := c.read(w); err != nil {
			return err
		}
	}
	if p.requests != nil && !p.requests.AllowN(c.started, 1) {
		return xms.WithoutBody(http.StatusTooManyRequests)
	}
	return nil
}

// read reads the request body into c.body and, for delivery feedback, sets c.feedback. It returns an *xms.Error if the
// content type is not JSON, or if the body is longer than 4 MiB or cut off.
func (c *call) read(w http.ResponseWriter) error {
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return xms.WithoutBody(http.StatusUnsupportedMediaType)
	}
	var err error
	if c.body, err = io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody)); err != nil {
		return xms.InvalidJSON("the body is longer than 4 MiB or was cut off")
	}
	if c.operation == fault.OpFeedback {
		c.feedback = &ledger.FeedbackCall{}
		if numbers, err := xms.ReadFeedback(c.body); err == nil { // applyFeedback answers the error
			c.feedback.Recipients, c.feedback.WholeBatch = numbers, len(numbers) == 0
		}
	}
	return nil
}

// faultFor returns the fault (simulated failure) for call c, or the zero Hit for none. It prefers the oldest matching
// fault added by Simulator.SetFault. If there is none, the seed of the simulator decides whether the call fails.
func (a *api) faultFor(c *call) fault.Hit {
	hit, ok := a.faults.Find(fault.Call{Plan: c.plan.ID, Operation: c.operation, BatchID: c.batchID()})
	if !ok {
		hit.Fault = c.plan.batches.CallFault(c.operation, c.batchID())
	}
	return hit
}

// reply is the answer to an API call before it is written. A nil body means an empty body. If the call is refused, err
// is an *xms.Error, which replaces status and body; otherwise err is nil.
type reply struct {
	status int
	body   any
	err    error
}

// answer records call c and then writes the given reply. hit is the fault that hit the call, or zero. hit.RetryAfter,
// if set, becomes the Retry-After header, and hit.Body is sent if the reply has no body.
func (a *api) answer(w http.ResponseWriter, c *call, given reply, hit fault.Hit) {
	var refused *xms.Error
	if errors.As(given.err, &refused) {
		given = reply{status: refused.Status}
		if refused.Code != "" {
			given.body = refused
		}
	}
	a.record(c, given.status, hit.Kind)
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

// closeUnanswered records call c and closes its connection without an answer. If the fault that hit the call is a hang,
// it first blocks until the hang ends.
func (a *api) closeUnanswered(w http.ResponseWriter, c *call, hit fault.Hit) {
	a.record(c, 0, hit.Kind)
	hit.Hang(c.Context())
	fault.CloseConnection(w)
}

// record adds call c to the history and to the debug log, and passes feedback and faults on to the functions given to
// Simulator.Observe. status is 0 if the call gets no answer, and kind is empty if no fault hit the call.
func (a *api) record(c *call, status int, kind fault.Kind) {
	made := ledger.Call{
		At: c.started.UTC(), Method: c.Method, Path: c.URL.EscapedPath(), Plan: c.PathValue("plan"),
		Operation: c.operation, Batch: c.batchID(), Status: status, Fault: kind,
	}
	f := c.feedback
	if f != nil {
		f.At, f.Plan, f.Batch, f.Status, f.Fault = made.At, made.Plan, made.Batch, status, kind
	}
	a.history.add(made, f)
	var entries []ledger.Entry
	if kind != "" {
		entries = append(entries, ledger.Entry{
			Kind: ledger.FaultInjected, Plan: made.Plan, Batch: made.Batch, Operation: c.operation, Answer: status,
			Fault: kind,
		})
	}
	if f != nil {
		entries = append(entries, ledger.Entry{
			Kind: ledger.FeedbackReceived, Plan: made.Plan, Batch: made.Batch, Operation: c.operation, Answer: status,
			Fault: kind, Count: len(f.Recipients), Applied: f.Applied,
		})
	}
	a.feed.Add(entries...)
	a.feed.Flush()
	a.logger.DebugContext(c.Context(), "call answered", slog.String("operation", string(c.operation)),
		slog.String("plan", made.Plan), slog.String("batch_id", made.Batch), slog.Int("status", status),
		slog.String("fault", string(kind)))
}
