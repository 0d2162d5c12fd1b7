// Package simulator imitates Sinch's SMS REST API for tests and demonstrations. It accepts batches and delivery
// feedback, calls back a report for each message, and keeps a ledger of everything, against which a customer's
// software can be checked. Its entry point is New; the example shows how to test a receiver of callbacks. The packages
// below it hold one subject each: batches, callbacks, groups, inbound (messages from phones), fault, ledger, xms (the
// JSON of the API), text (one SMS), schedule and random. They import no package of this module outside this directory,
// so that a parser error in dlrloop cannot hide in the simulator too. Only demo, cli and tests import them. Package
// application stands apart: it receives events from dlrloop, in place of the customer's application.
//
// # Behavior
//
// API serves, for each service plan, the eight batch operations (send, dry run, list, get, update, replace, cancel,
// delivery feedback), the three ways to read delivery reports, and groups. While Run runs, each message goes from
// Queued through Dispatched to a final status. The batch field delivery_report decides the callbacks:
//
//	none                 no callback
//	summary, full        one, when all messages are final
//	per_recipient        Dispatched and the final status of each message; an anomaly may add Queued or omit Dispatched
//	per_recipient_final  the final status of each message
//
// A message that never reaches the SMSC (Aborted) or that the SMSC refuses (Rejected) skips Dispatched. The
// customer's answer to a callback decides what happens next:
//
//	2xx                   acknowledged
//	429                   retried, and the rate towards that URL is halved; it recovers in about ten seconds
//	other 4xx             given up at once
//	5xx, 3xx, no answer   retried 1, 2, 4 … 2^14 units after the first failure, then given up
//
// A batch whose send_at is in the future waits. Until it is dispatched, the API can update and replace it. Its groups
// are expanded to recipients at dispatch. Cancelling a waiting batch removes its recipients; summary and full batches
// then call back an empty report. Cancelling a dispatched batch ends the messages that are still Queued as Cancelled
// (407). At expire_at, a message that is not final ends as Aborted (406) if it has not reached the SMSC, else as
// Expired (159). A message ends as Aborted (405) if a parameter of its body has neither a value for its number nor a
// default, and as Aborted (411) if it has more parts than the batch allows.
//
// Recipients of delivered messages reply with the probability Config.Replies: an inbound message (MO) with an id of its
// own, which is called back to the plan's default URL, whatever delivery_report says. A third of the texts ask to stop.
// A phone cannot answer an alphanumeric sender. Ledger.AcknowledgedInbound returns the messages that the customer must
// have stored.
//
// If the plan has a secret, each attempt of a callback is signed anew: HMAC-SHA256 over body, nonce and Unix time.
//
// # Speed
//
// Config.Speed shortens the waiting times that are Sinch's own. At 3600, a batch sent now with send_at in two hours
// is dispatched after two seconds. If it expires a day after send_at, it does so 24 seconds after dispatch. Retries,
// status changes and late callbacks are shortened in the same way. The faster clock of a batch starts at its
// created_at. All times in answers and reports are real times, so a customer computes send_at and expire_at from its
// own clock. Not shortened: Config.CallbackTimeout, the latency of a fault, the rate after a 429,
// Config.RequestsPerSecond.
//
// # Anomalies
//
// Unless Config.Calm is set, anomalies occur: some messages are not delivered; callbacks are repeated, reordered and
// delayed; numbers are written with a plus sign; reads, dry runs and feedback calls are answered 429, 500, late or
// not at all, or are answered 500 although they took effect. See Anomalies. Calls that send or change something never
// fail by themselves. The seed decides every anomaly; timing does not. SetFault and SetOutcome work with and without
// Calm.
//
// # Control
//
// Control serves these routes without credentials.
//
//	GET    /control/ledger   the Ledger
//	GET    /control/calls    the last 4096 calls of the API, oldest first
//	GET    /control/state    the State: counts of batches, callbacks by result, feedback calls; whether all is settled
//	GET    /control/faults   the active faults, each with the number of calls that it has hit
//	POST   /control/faults   adds a fault: 204
//	DELETE /control/faults   removes all faults: 204
//	POST   /control/outcomes plans the outcome of later messages to a number: 204
//	POST   /control/inbound  calls back an inbound message (MO): 202 with its id
//
// Bodies are JSON. Unknown fields and values are refused with 400 and {"error": …}. Examples:
//
//	{"operation": "feedback", "kind": "status", "status": 429, "retry_after": "2", "times": 3}
//	{"operation": "batch", "plan": "…", "batch_id": "…", "kind": "latency", "latency": "1.5s"}
//	{"operation": "send", "kind": "status", "status": 403, "times": 1,
//	 "body": "{\"code\":\"blocked_account\",\"text\":\"…\"}"}
//	{"number": "+447700900118", "status": "Failed", "code": 153}
//	{"number": "+447700900118", "lost": true}
//	{"plan": "…", "type": "mo_text", "from": "447700900118", "to": "54321", "body": "STOP"}
//
// Operations are send, dry_run, list, batch (get), update, replace, cancel, report (all three), feedback and group
// (all group calls). Kinds of faults are latency, status, hang, reset, applied_but_500, applied_but_hang and
// applied_but_reset. A fault without plan, operation or batch_id applies to any. A fault without times stays until it
// is removed.
//
// # Where Sinch's documentation is silent
//
// In these cases the simulator's behavior is its own choice.
//
// Calls: an unknown plan is answered 404, a wrong token 401, and more than Config.RequestsPerSecond 429, all without
// a body. A 429 has a Retry-After header only if a fault or an anomaly sets it. A field of the wrong JSON type is
// syntax_invalid_json.
//
// Callbacks: the simulator waits Config.CallbackTimeout for the answer and does not follow redirects.
//
// Feedback may name at most 1000 recipients. Numbers outside the batch and repeated numbers are accepted and recorded
// in the ledger. [] for a batch with a group is 400 syntax_constraint_violation. Feedback is accepted at any time,
// also before dispatch and after cancelling.
//
// Reports: all messages of a waiting batch are Queued; its groups are expanded with their present members. A filter
// does not change a report's total_message_count. A number that a batch names twice, itself or through a group, gets
// one message.
//
// Update, replace and cancel: a batch without send_at is dispatched at once, any other when its send time has come.
// Updating or replacing a cancelled batch is batch_already_dispatched too. to_add is applied before to_remove.
// to_remove may name entries that the batch does not have. An update that removes from where from is required is
// refused like a send without it. Cancelling again changes nothing, not even modified_at.
//
// Inbound: half of the replies to a batch with a client_reference have it too, and half have sent_at and operator_id. A
// tenth are mo_binary, a tenth mo_media. A number that asked to stop still gets messages.
//
// Text: every ${key} in a body is a parameter. A character of two septets is never split between two parts. With
// truncate_concat a longer text is cut to one part. Members that the batch's type does not have are ignored like
// unknown ones. The seed selects a sender from the plan's pool, independent of the recipient's country.
//
// Batches can be read until 14 days after dispatch. Deleting a group is answered 200 without a body. A group's size
// and members do not include its child groups, but a batch to the group does. Keywords of auto_update are stored and
// have no effect.
package simulator
