package access

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Digest is the SHA-256 of a secret. All digests have the same length, so comparing them in constant time does not
// reveal the length of a secret.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a secret.
func DigestOf(secret string) Digest { return sha256.Sum256([]byte(secret)) }

// DigestsOf returns the digest of each secret, in the same order; nil for no secrets.
func DigestsOf(secrets []string) []Digest {
	var digests []Digest
	for _, s := range secrets {
		digests = append(digests, DigestOf(s))
	}
	return digests
}

// In reports whether others contains d. It compares d with all of others, so its duration does not depend on a match.
func (d Digest) In(others []Digest) bool {
	equal := 0
	for i := range others {
		equal |= subtle.ConstantTimeCompare(d[:], others[i][:])
	}
	return equal == 1
}
