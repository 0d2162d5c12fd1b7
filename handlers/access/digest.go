package access

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Digest is the SHA-256 of a secret. All digests have the same length, so the time of a comparison does not reveal the
// length of the secret.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a secret. To check a secret that a client sent, compute its digest and call the method
// Digest.In with the accepted digests.
func DigestOf(secret string) Digest { return sha256.Sum256([]byte(secret)) }

// DigestsOf returns the digest of each secret, in the same order. It returns nil if there are no secrets.
func DigestsOf(secrets []string) []Digest {
	var digests []Digest
	for _, s := range secrets {
		digests = append(digests, DigestOf(s))
	}
	return digests
}

// In reports whether d is one of the accepted digests. It always compares d with all of them, each in constant time, so
// its duration does not reveal a match.
func (d Digest) In(accepted []Digest) bool {
	equal := 0
	for i := range accepted {
		equal |= subtle.ConstantTimeCompare(d[:], accepted[i][:])
	}
	return equal == 1
}
