// Package batchinfo converts a batch as Sinch returned it (sinch.Batch) into the info that the store keeps about it.
// The info is bounded: a store that refused it would make the relay look the batch up for ever.
//
// Call Check first: it finds out whether an object from outside is a complete batch. Then call Convert. Packages
// relay/feedback, handlers/gateway and handlers/api import batchinfo.
package batchinfo
