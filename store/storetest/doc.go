// Package storetest contains the test suite that every store must pass, based only on the contract of package store.
// It also contains Failing, a store that injects faults.
package storetest
