// Package relaytest holds what the tests of feedback and reconcile share: an upstream that stands in for Sinch, and a
// harness with a real store, a log and metrics. Only tests import it.
package relaytest
