// Package random makes the simulator's decisions reproducible: the same seed gives the same decisions, whatever the
// order in which goroutines run. Its entry point is New. It imports no other package of this module; every package of
// the simulator may import it.
package random
