// Package relay holds the rules that its two packages share: feedback sends delivery feedback to Sinch, and reconcile
// fetches missing reports from Sinch.
//
// ReasonOf classifies the error of a call to Sinch. Backoff spaces the attempts. A PlanCheck finds out whether a 404
// concerns the batch or the plan, and a Streak whether a 403 does.
//
// The packages below relay import it, and config and server for its settings.
package relay
