// Package batches accepts batches as Sinch does, changes the statuses of their messages, calls back reports, and
// answers the API operations on batches, reports and delivery feedback. It also decides the anomalies of a batch. Its
// entry points are Store.NewPlan, the methods of Plan (one for each API operation) and Store.Run. It imports the
// simulator's other packages; only package simulator imports it.
package batches
