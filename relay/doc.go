// Package relay brings delivery feedback to Sinch: every task ends sent, dropped because the batch wants none, or dead.
//
// Nothing calls it and it calls no handler: it polls the store for tasks that are due, makes one call for each, and settles
// the task by what Sinch answered. What a task needs is asked one step a claim, so that each step is durable before the
// next: first whether the batch wants feedback at all, then the full report if a summary said Delivered without naming
// anybody, then the feedback itself.
//
// Every plan has a lane of its own: its loop, workers, rate, circuit and pauses. What goes wrong in one lane delays no other.
package relay
