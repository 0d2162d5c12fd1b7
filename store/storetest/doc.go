// Package storetest holds the suite that every store must pass, written against the contract of package store alone, and a
// store that fails on purpose.
package storetest
