package fault

// Operation is what an API call does, for example send a batch. A Fault can be limited to calls of one operation.
type Operation string

// The values of Operation, each with its route in the simulated API.
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

var operations = []Operation{
	OpSend, OpDryRun, OpList, OpBatch, OpUpdate, OpReplace, OpCancel, OpReport, OpFeedback, OpGroup,
}
