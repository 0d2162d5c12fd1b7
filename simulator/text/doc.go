// Package text computes the text of one SMS: it replaces the parameters of a batch's body by the values for a number,
// chooses the encoding, and divides the result into parts. Its entry point is New. It imports no other package of this
// module; simulator and simulator/xms import it.
package text
