// Package fault makes API calls of the simulator fail: slow, refused, hanging or reset, with and without effect. Its
// entry point is Set; Simulator.SetFault and the control listener add a Fault to the simulator's Set. It imports only
// simulator/xms; simulator and simulator/ledger import it, and so do tests that set faults.
package fault
