// Package e2e proves things of the program as it is shipped: the real binary in a process of its own, which can be killed, against a
// simulated Sinch that keeps the account.
package e2e
