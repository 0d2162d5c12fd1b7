// Package e2e tests the real dlrloop binary in its own process, which tests can kill, against a simulated Sinch whose
// ledger records what must have arrived.
package e2e
