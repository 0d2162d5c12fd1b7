package metrics

import (
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// other is the value under which every label counts what is outside its closed set.
const other = "other"

// Outcome says what became of a callback.
type Outcome uint8

// The outcomes. Only the first three are answered 200.
const (
	Stored             Outcome = iota // the report is durable
	Inbound                           // a message from a phone: none of ours, acknowledged
	Quarantined                       // authentic, not understood, kept raw
	Busy                              // the store was full, closing or too slow
	Failed                            // the store, or we, failed
	Unauthorized                      // the credentials did not verify
	TooLarge                          // the body of a verified caller is over the limit
	TooLargeUnverified                // so is the body of a caller that was not verified yet: anybody can cause it
	Shed                              // no memory was left for the body of a verified caller
	ShedUnverified                    // none was left for a caller that was not verified yet: anybody can cause it
	Incomplete                        // the body did not arrive
	UnknownPlan                       // the path names no plan that is configured
	outcomes
)

func (o Outcome) String() string {
	return [...]string{
		"stored", "inbound", "quarantined", "busy", "failed", "unauthorized",
		"too_large", "too_large_unverified", "shed", "shed_unverified", "incomplete", "unknown_plan",
	}[o]
}

// typed reports whether callbacks with the outcome are told apart by their type: those that were answered 200.
func (o Outcome) typed() bool { return o <= Quarantined }

// possible reports whether a callback of type t is counted with the outcome; other is the type of what is not told apart or
// was never parsed.
func (o Outcome) possible(t dlr.Type) bool {
	switch o {
	case Stored:
		return t.Batch() || t.Recipient()
	case Inbound:
		return t.Inbound()
	case Quarantined:
		return !t.Inbound()
	case UnknownPlan:
		return false // of a configured plan
	}
	return t == other
}

// usual lists the pairs of status and code class that exist at zero for every plan: those that Sinch's tables and
// test data hold. What comes in any other pair counts under the status and the class other, from its first message on: all pairs of every plan
// would be most of what a replica exports.
func usual() map[dlr.Status][]dlr.Class {
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

// callReasons are the reasons with which an attempt to send feedback can end.
func callReasons() []store.Reason { return reasonsBut(store.ReasonUnknownPlan) }

// readReasons are the reasons with which a read of the reconciler can end.
func readReasons() []store.Reason { return reasonsBut(store.ReasonNotANumber) }

func reasonsBut(one store.Reason) []store.Reason {
	reasons := append(store.FeedbackReasons(), other)
	return slices.DeleteFunc(reasons, func(r store.Reason) bool { return r == one })
}

// latencyLabel is a final status that the network gives; what people, Sinch or nobody gave is other.
func latencyLabel(s dlr.Status) string {
	switch s {
	case dlr.Delivered, dlr.Failed, dlr.Rejected, dlr.Expired:
		return string(s)
	}
	return other
}

// The other closed sets.
func operationLabels() []string {
	return []string{"commit", "fold", "read", "expire", "replica", "damage", other}
}

// What becomes of a recipient's feedback.
const (
	resultEarned   = "earned"
	resultAccepted = "accepted"
	resultDead     = "dead"
	resultRequeued = "requeued"
	resultExpired  = "expired"
)

func resultLabels() []string {
	return []string{resultEarned, resultAccepted, resultDead, resultRequeued, resultExpired}
}

func lookupLabels() []string { return []string{"found", "missing", "unknown_plan", "failed", other} }

func circuitLabels() []string { return []string{"closed", "half_open", "open", other} }
