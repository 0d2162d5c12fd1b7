// Package batchinfo converts a batch as Sinch returned it (sinch.Batch) into the info that the store keeps about it.
// Of is the only function. Packages gateway and api import batchinfo.
package batchinfo
