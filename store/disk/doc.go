// Package disk holds the file operations of a store that must survive a power loss: MakeDir and SyncDir make names
// durable, Datasync makes content durable. Watched detects that an open file was deleted or replaced. Fatal marks the
// errors after which the content of the disk is unknown.
//
// Only store/journal and store/boltstore import this package.
package disk
