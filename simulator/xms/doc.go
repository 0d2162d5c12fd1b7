// Package xms holds the JSON of Sinch's SMS REST API (XMS): it parses and checks requests, and formats numbers, times
// and errors as Sinch does. Its entry points are ReadBatch, ReadUpdate, ReadFeedback, ReadPage and ReadFilter. It has
// no state. It imports only simulator/text; every other package of the simulator may import it.
package xms
