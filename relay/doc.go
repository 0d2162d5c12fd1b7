// Package relay holds the rules that the packages below it share: feedback sends delivery feedback to Sinch, reconcile
// fetches missing reports from Sinch, and destinations delivers events to the application.
//
// ReasonOf classifies the error of a call to Sinch. Backoff spaces the attempts, a Pause stops them for a time, and a
// CircuitBreaker while calls fail. A PlanCheck finds out whether a 404 concerns the batch or the plan, and a Streak
// whether a 403 does.
//
// The packages below relay import it, and config and server for its settings.
package relay
