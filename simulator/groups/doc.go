// Package groups keeps the groups of a service plan and answers the group operations of Sinch's API. Its entry point is
// New. It imports only simulator/xms; simulator and simulator/batches import it.
package groups
