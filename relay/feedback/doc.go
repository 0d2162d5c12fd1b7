// Package feedback sends delivery feedback to Sinch. Every feedback task ends sent, dropped because the batch does not
// want feedback, or dead.
//
// The relay polls: for each plan it claims the due tasks from the store, takes one step for each task, and settles the
// task with the result. Each result is durable before the next step begins. The first step looks up whether the batch
// wants feedback, the second reads the full report if a summary counted deliveries without naming the recipients, and
// the third sends the feedback.
//
// Every plan has a lane of its own, with its own loop, workers, rate limit, circuit breaker and pauses. A failure in
// one lane does not delay another.
//
// New returns a Relay, and its Run sends until its context ends. Only server imports the package.
package feedback
