// Package simulator is Sinch's SMS REST API seen from outside, on its good and bad days: an API that takes batches and
// delivery feedback, callbacks that report what became of each message, and a ledger of all of it, against which a
// customer's software is checked. It shares no code with that software: an oracle must not trust the parser it checks.
//
// # What it does
//
// API serves, for each service plan, sending a batch, reading it, the three ways to read delivery reports, and delivery
// feedback. While Run runs, the messages go from Queued over Dispatched to a final status, and callbacks follow the
// delivery_report of their batch:
//
//	none                 no callback
//	summary, full        one, when all messages are final
//	per_recipient        Dispatched and the final status of each message; on bad days also Queued, or no Dispatched
//	per_recipient_final  the final status of each message
//
// A message that never reaches the SMSC (Aborted) or is refused by it (Rejected) is not Dispatched. What the customer
// answers decides what follows:
//
//	2xx                   acknowledged
//	429                   retried, and the rate towards that URL is halved; it recovers in about ten seconds
//	other 4xx             given up at once
//	5xx, 3xx, no answer   retried 1, 2, 4 … 2^14 units after the first failure, then given up
//
// With a secret, callbacks are signed anew at each attempt: HMAC-SHA256 over body, nonce and Unix time.
//
// # Bad days
//
// Unless Config.Calm is set, some messages end badly, callbacks repeat, overtake each other and come late, numbers carry a
// plus sign, and reads and feedback calls are answered 429, 500, late or not at all, or 500 although they took effect; see
// BadDays. The seed decides which; nothing depends on timing. Faults and fates can be set by hand on any day.
//
// # Control
//
// Control serves, without credentials:
//
//	GET    /control/ledger   the Ledger
//	GET    /control/calls    the last 4096 calls of the API, oldest first
//	GET    /control/state    the State: counts of batches, callbacks by outcome, feedback calls; whether all is settled
//	GET    /control/faults   the faults in place, each with the number of calls it has hit
//	POST   /control/faults   sets a fault: 204
//	DELETE /control/faults   clears all faults: 204
//	POST   /control/fates    decides how messages to a number end that are sent from now on: 204
//	POST   /control/inbound  calls back a message from a phone: 202 with its id
//
// Bodies are JSON; unknown members and values are refused with 400 and {"error": …}:
//
//	{"operation": "feedback", "kind": "status", "status": 429, "retry_after": "2", "times": 3}
//	{"operation": "send|batch|report|feedback", "plan": "…", "batch_id": "…", "kind": "latency", "latency": "1.5s"}
//	{"number": "+447700900118", "status": "Failed", "code": 153}
//	{"number": "+447700900118", "lost": true}
//	{"plan": "…", "type": "mo_text", "from": "447700900118", "to": "54321", "body": "STOP"}
//
// Kinds of faults are latency, status, hang, reset, applied_but_500, applied_but_hang and applied_but_reset. A plan,
// operation or batch_id left out means any; times left out means until cleared.
//
// # Where Sinch's documentation is silent
//
// The simulator then does this: an unknown plan is 404, a wrong token 401, both without a body. A callback waits
// Config.CallbackTimeout for its answer; redirects are not followed. Feedback may name at most 1000 recipients; numbers
// outside the batch and repetitions are accepted and entered in the ledger; [] for a batch with a group is 400
// syntax_constraint_violation. A filter does not change a report's total_message_count. A number that a batch names twice,
// itself or through a group, gets one message.
package simulator
