//go:build !unix

package config

// mayWrite always returns true: only Unix has a check. Opening the store reports a missing permission.
func mayWrite(string) bool { return true }
