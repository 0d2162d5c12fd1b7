//go:build !unix

package config

// mayWrite returns true, because only Unix has the check. Opening the store then reports a missing permission.
func mayWrite(string) bool { return true }
