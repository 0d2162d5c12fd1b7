// Package access checks the credentials of callers. New returns the Access of the private listener, which packages api
// and gateway share. Package webhook uses the same secrets' digests and the same type of Basic credentials.
package access
