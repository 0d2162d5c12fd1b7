// Package simulator is Sinch's SMS REST API seen from outside, on its good and bad days: an API that takes batches and
// delivery feedback, callbacks that report what became of each message, and a ledger of all of it, against which a
// customer's software is checked. It shares no code with that software: an oracle must not trust the parser it checks.
//
// # What it does
//
// API serves, for each service plan, the eight operations on batches (send, dry run, list, get, update, replace, cancel,
// delivery feedback), the three ways to read delivery reports, and groups. While Run runs, the messages go from Queued over
// Dispatched to a final status, and callbacks follow the delivery_report of their batch:
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
// A batch whose send_at lies ahead waits; until it leaves it can be updated and replaced, and its groups are read when it
// leaves. Cancelling a batch that waits leaves an empty report, which summary and full call back; later, it ends what is still
// Queued as Cancelled (407). What is not final at expire_at ends Aborted (406) before the SMSC, Expired (159) after it. A
// message ends Aborted (405) if a parameter of its body has no value for its number and no default, and (411) if it has more
// parts than the batch allows.
//
// With a secret, callbacks are signed anew at each attempt: HMAC-SHA256 over body, nonce and Unix time.
//
// # Speed
//
// Config.Speed makes the time that Sinch itself lets pass go by faster: at 3600 a batch sent now with send_at in two hours
// leaves after two seconds, one that expires a day later does so 24 seconds after that, and retries, status changes and late
// callbacks come as much sooner. The clock of a batch runs so fast from its created_at on. All times in answers and reports
// are real ones, so a customer reckons with its own clock: what is to wait is given a send_at ahead of now. What the network
// takes is real too: Config.CallbackTimeout, the latency of a fault, the rate after a 429, Config.RequestsPerSecond.
//
// # Bad days
//
// Unless Config.Calm is set, some messages end badly, callbacks repeat, overtake each other and come late, numbers carry a
// plus sign, and reads, dry runs and feedback calls are answered 429, 500, late or not at all, or 500 although they took
// effect; see BadDays. What sends or changes something never is. The seed decides which; nothing depends on timing. Faults and
// fates can be set by hand on any day.
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
//	{"operation": "batch", "plan": "…", "batch_id": "…", "kind": "latency", "latency": "1.5s"}
//	{"operation": "send", "kind": "status", "status": 403, "body": "{\"code\":\"blocked_account\",\"text\":\"…\"}", "times": 1}
//	{"number": "+447700900118", "status": "Failed", "code": 153}
//	{"number": "+447700900118", "lost": true}
//	{"plan": "…", "type": "mo_text", "from": "447700900118", "to": "54321", "body": "STOP"}
//
// Operations are send, dry_run, list, batch (get), update, replace, cancel, report (all three), feedback and group (all of
// groups). Kinds of faults are latency, status, hang, reset, applied_but_500, applied_but_hang and applied_but_reset. A plan,
// operation or batch_id left out means any; times left out means until cleared.
//
// # Where Sinch's documentation is silent
//
// The simulator then does this.
//
// Calls: an unknown plan is 404, a wrong token 401, more than Config.RequestsPerSecond 429, all without a body; a 429 has a
// Retry-After only where a fault or a bad day says so. A member of the wrong JSON type is syntax_invalid_json.
//
// Callbacks: one waits Config.CallbackTimeout for its answer; redirects are not followed.
//
// Feedback may name at most 1000 recipients; numbers outside the batch and repetitions are accepted and entered in the
// ledger; [] for a batch with a group is 400 syntax_constraint_violation. It is taken at any time, also before the batch
// leaves and after it is cancelled.
//
// Reports: the messages of a batch that waits are Queued, those of its groups as they are at the moment. A filter does not
// change a report's total_message_count. A number that a batch names twice, itself or through a group, gets one message.
//
// Update, replace and cancel: a batch has left once its send time has come, a batch without send_at at once; update and
// replace of a cancelled batch are batch_already_dispatched too. to_add comes before to_remove; what to_remove names need not
// be there. An update that takes from, a required member, away is refused like a send without it. Cancelling again changes
// nothing, not even modified_at.
//
// Text: every ${key} in a body is a parameter. A character of two places is not split between two parts. With
// truncate_concat a longer text is cut to one part. Members that a batch's type does not have are ignored like unknown ones.
// The sender from the plan's pool is drawn by the seed, whatever the recipient's country.
//
// Batches are found until 14 days after they left. Deleting a group is 200 without a body; its size and members are those of
// its own, while a batch to it goes to its child groups too. Keywords of auto_update are kept and do nothing.
package simulator
