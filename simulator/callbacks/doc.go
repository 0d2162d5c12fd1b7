// Package callbacks sends callbacks to the customer as Sinch does: signed, retried for hours, limited in number and in
// rate. It does not know what a callback is about; a Message tells it the body and how to describe the callback. Its
// entry points are Sender.Send and Sender.Run. It imports ledger, random, schedule and xms; simulator and
// simulator/batches import it.
package callbacks
