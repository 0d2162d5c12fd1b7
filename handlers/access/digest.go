package access

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Digest is the SHA-256 of a secret. All digests have the same length, so the time of a comparison does not reveal the
// length of a secret.
type Digest [sha256.Size]byte

// DigestOf returns the digest of secret. Compare it with the digests of the accepted secrets by calling Digest.In.
func DigestOf(secret string) Digest { return sha256.Sum256([]byte(secret)) }

// DigestsOf returns the digest of each secret, in the same order. It returns nil if there are no secrets.
func DigestsOf(secrets []string) []Digest {
	var digests []Digest
	for _, s := range secrets {
		digests = append(digests, DigestOf(s))
	}
	return digests
}

// In reports whether others contains d. It compares d with every element, so its duration does not reveal a match.
func (d Digest) In(others []Digest) bool {
	equal := 0
	for i := range others {
		equal |= subtle.ConstantTimeCompare(d[:], others[i][:])
	}
	return equal == 1
}
