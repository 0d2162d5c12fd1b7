package metrics

import (
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// other is the label value for everything that has no label value of its own, so that the number of series is limited.
const other = "other"

// Outcome is how the webhook answered a callback, a request by which Sinch reports to dlrloop.
type Outcome uint8

// The values of Outcome, which the label outcome of callbacks_total shows. Only the first three mean that the callback
// was answered 200.
const (
	Stored             Outcome = iota // the report is durable
	Inbound                           // an inbound message (MO): durable, unless inbound.keep is false
	Quarantined                       // authentic but not understood; kept raw
	Busy                              // the store was full, closing or too slow
	Failed                            // the store, or dlrloop itself, failed
	Unauthorized                      // the credentials did not verify
	TooLarge                          // verified, but the body is over the limit
	TooLargeUnverified                // the same before verification; anybody can cause it
	Shed                              // verified, but there was no memory for the body
	ShedUnverified                    // the same before verification; anybody can cause it
	Incomplete                        // the body did not arrive
	UnknownPlan                       // the path names no configured plan
	outcomes                          // how many outcomes there are
)

func (o Outcome) String() string {
	return [...]string{
		"stored", "inbound", "quarantined", "busy", "failed", "unauthorized",
		"too_large", "too_large_unverified", "shed", "shed_unverified", "incomplete", "unknown_plan",
	}[o]
}

// hasType reports whether callbacks with this outcome are counted by report type. Only those answered with 200 are.
func (o Outcome) hasType() bool { return o <= Quarantined }

// possible reports whether callbacks of type t can have outcome o. If so, the counter for t and o is created at zero.
// The type "other" stands for unknown types, unparsed bodies, and callbacks that are not counted by type.
func (o Outcome) possible(t dlr.Type) bool {
	switch o {
	case Stored:
		return t.Batch() || t.Recipient()
	case Inbound:
		return t.Inbound()
	case Quarantined:
		return !t.Inbound() // it has no id; Metrics.Callback counts it with type other
	case UnknownPlan:
		return false // never counted for a configured plan
	}
	return t == other
}

// expectedPairs returns, for each delivery status, the classes of error codes that Sinch is known to report with it. To
// limit the number of series, a message with any other class counts under the class "other".
func expectedPairs() map[dlr.Status][]dlr.Class {
	network := []dlr.Class{dlr.ClassSMSC, dlr.ClassHLR, dlr.ClassMSC}
	return map[dlr.Status][]dlr.Class{
		dlr.Queued:     {dlr.ClassQueue},
		dlr.Dispatched: {dlr.ClassQueue},
		dlr.Delivered:  {dlr.ClassNone, dlr.ClassQueue},
		dlr.Failed: append([]dlr.Class{
			dlr.ClassNone, dlr.ClassRouting, dlr.ClassScreening, dlr.ClassInternal,
			dlr.ClassESME, dlr.ClassESMEExternal, dlr.ClassMMS,
		}, network...),
		dlr.Rejected:  {dlr.ClassRouting, dlr.ClassScreening, dlr.ClassESMEExternal, dlr.ClassSMSC, dlr.ClassMMS},
		dlr.Aborted:   {dlr.ClassREST},
		dlr.Expired:   append([]dlr.Class{dlr.ClassNone, dlr.ClassRouting}, network...),
		dlr.Cancelled: {dlr.ClassREST},
		dlr.Deleted:   {dlr.ClassNone},
		dlr.Unknown:   {dlr.ClassNone},
		dlr.Other:     {dlr.ClassOther},
	}
}

func statusLabels() []dlr.Status { return append(dlr.Statuses(), dlr.Other) }

func typeLabels() []dlr.Type { return append(dlr.Types(), other) }

// callReasons returns the values of the label reason of feedback_calls_total: the results of sending delivery feedback
// to Sinch.
func callReasons() []store.Reason { return reasonsExcept(store.ReasonUnknownPlan) }

// readReasons returns the values of the label reason of reconcile_reads_total: the results of fetching a missing report
// from Sinch.
func readReasons() []store.Reason { return reasonsExcept(store.ReasonNotANumber) }

func reasonsExcept(one store.Reason) []store.Reason {
	reasons := append(store.FeedbackReasons(), other)
	return slices.DeleteFunc(reasons, func(r store.Reason) bool { return r == one })
}

// latencyLabel returns the label status of delivery_latency_seconds for a final status. Delivered, Failed, Rejected and
// Expired, which the mobile network decides on, have labels of their own. Any other status has the label "other".
func latencyLabel(s dlr.Status) string {
	switch s {
	case dlr.Delivered, dlr.Failed, dlr.Rejected, dlr.Expired:
		return string(s)
	}
	return other
}

// operationLabels returns the values of the label operation of store_errors_total: the operations of a store that can
// fail (see store.Observer.Failed).
func operationLabels() []string {
	return []string{"commit", "fold", "read", "expire", "erase", "replica", "damage", other}
}

// The values of the label result of feedback_recipients_total: what happened to the delivery feedback about a
// recipient.
const (
	resultEarned   = "earned"   // to be sent to Sinch, if the batch wants feedback
	resultAccepted = "accepted" // Sinch accepted it
	resultDead     = "dead"     // given up
	resultRequeued = "requeued" // an operator had dead feedback sent again
	resultDeleted  = "deleted"  // dead feedback, deleted by retention
)

func resultLabels() []string {
	return []string{resultEarned, resultAccepted, resultDead, resultRequeued, resultDeleted}
}

func lookupLabels() []string { return []string{"found", "unknown", "unknown_plan", "failed", other} }

func circuitLabels() []string { return []string{"closed", "half_open", "open"} }
