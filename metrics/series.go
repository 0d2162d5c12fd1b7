package metrics

// byKey finds the series of a Prometheus vector by a key of type K. Series created in advance are found without a lock;
// all others are looked up in the vector. After the last call of create it is safe for concurrent use.
type byKey[K comparable, S any] struct {
	made   map[K]S
	with   func(labels ...string) S // WithLabelValues of the vector
	labels func(K) []string         // a value outside the closed set of its label becomes other
}

func newByKey[K comparable, S any](with func(labels ...string) S, labels func(K) []string) *byKey[K, S] {
	return &byKey[K, S]{make(map[K]S), with, labels}
}

// create creates the series of a key in advance, with the value 0. All calls must precede the first call of get.
func (s *byKey[K, S]) create(key K) { s.made[key] = s.with(s.labels(key)...) }

func (s *byKey[K, S]) get(key K) S {
	if found, ok := s.made[key]; ok {
		return found
	}
	return s.with(s.labels(key)...)
}

// byLabel finds the series of a Prometheus vector by the value of one label; the vector's other labels are fixed. A
// value that is not in the field values counts as "other".
type byLabel[T ~string, S any] struct {
	*byKey[T, S]
	values []T // the closed set; may include other
}

func newByLabel[T ~string, S any](values []T, with func(labels ...string) S) byLabel[T, S] {
	set := setOf(values)
	return byLabel[T, S]{newByKey(with, func(v T) []string { return []string{set.label(v)} }), values}
}

// createAll creates the series of every label value with the value 0. The exception is the label value "other": its
// series first appears when it is counted.
func (b byLabel[T, S]) createAll() {
	for _, v := range b.values {
		if v != other {
			b.create(v)
		}
	}
}

// set contains all values that a label may have, so that no other value creates a series.
type set[T ~string] map[T]struct{}

func setOf[T ~string](values []T) set[T] {
	s := make(set[T], len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}

// label returns the value as text if it is in the set, otherwise "other".
func (s set[T]) label(v T) string {
	if _, known := s[v]; known {
		return string(v)
	}
	return other
}
