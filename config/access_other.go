//go:build !unix

package config

// mayWrite returns true, because this check exists only on Unix. Without permission, opening the store fails later.
func mayWrite(string) bool { return true }
