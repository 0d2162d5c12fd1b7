// Package reconcile fetches missing reports: the store lists batches whose reports did not arrive, and the Reconciler
// reads their full reports from Sinch and records them as if callbacks had brought them.
//
// New returns a Reconciler, and its Run fetches until its context ends. Only server imports the package.
package reconcile
