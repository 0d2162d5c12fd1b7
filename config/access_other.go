//go:build !unix

package config

// mayWrite always returns true, which means that the user may create files in the directory. On systems other than Unix
// dlrloop does not check permissions, so a missing permission causes an error only when the store is opened.
func mayWrite(string) bool { return true }
