// Package application stands in for the customer's application behind dlrloop: an HTTP endpoint that receives events,
// verifies them by code of its own, fails on purpose, and keeps a ledger with which a test compares what dlrloop
// delivered. Its entry point is New; the example shows its use. It imports the packages fault, random and xms of the
// simulator, and no package outside the simulator. Only cli, demo and tests import it.
//
// # Routes
//
//	POST /events    receives an event, an array of events, or a callback of Sinch
//	GET  /ledger    the Ledger; with ?events=1 also the ids of the events, in the order of their first acceptance
//	GET  /control   the mode, as {"mode": "up"}
//	POST /control   sets the mode: 204, or 400 for an unknown one
//
// The modes are up, down (each connection is reset), slow (each request waits for "delay", by default 5 s, and is then
// handled) and gone (each request is answered 410). Examples of bodies:
//
//	{"mode": "down"}
//	{"mode": "slow", "delay": "2s"}
//
// # Verification
//
// A request with the header webhook-id brings events, signed as Standard Webhooks requires: HMAC-SHA256 over id,
// timestamp and body, with the base64 in Config.Secret as key. The timestamp may differ from the clock by 5 minutes.
// Any other request brings a callback of Sinch, signed with Config.CallbackSecret. It may be older, since dlrloop
// delivers it with the original headers. Without the secret of a format, its signatures are not verified. A wrong
// signature is answered 401, a body that is not in the expected form 400. Everything else is accepted with 204, also
// events of unknown types.
//
// # Faults
//
// Unless Config.Calm is set, some requests fail on purpose, in the ways that the values of Fault list. The seed, the
// webhook-id and the number of earlier attempts decide, so the same deliveries have the same faults in any order.
package application
