package metrics

// seriesOf finds the series of a Prometheus vector that belongs to a key. Series that were created in advance are in a
// map, so that finding them takes no lock. All others are looked up in the vector.
type seriesOf[K comparable, S any] struct {
	made   map[K]S
	with   func(labels ...string) S // WithLabelValues of the vector
	labels func(K) []string         // a value outside the closed set of its label becomes other
}

func newSeries[K comparable, S any](with func(labels ...string) S, labels func(K) []string) *seriesOf[K, S] {
	return &seriesOf[K, S]{make(map[K]S), with, labels}
}

// create creates the series of a key with the value 0. Call it only before the first call of the method named of.
func (s *seriesOf[K, S]) create(key K) { s.made[key] = s.with(s.labels(key)...) }

func (s *seriesOf[K, S]) of(key K) S {
	if found, ok := s.made[key]; ok {
		return found
	}
	return s.with(s.labels(key)...)
}

// byLabel finds the series of a Prometheus vector by the value of one label. All other labels of the vector are fixed.
type byLabel[T ~string, S any] struct {
	*seriesOf[T, S]
	values []T // the closed set; may include other
}

func newByLabel[T ~string, S any](values []T, with func(labels ...string) S) byLabel[T, S] {
	set := setOf(values)
	return byLabel[T, S]{newSeries(with, func(v T) []string { return []string{set.label(v)} }), values}
}

// createAll creates at zero the series of all values except other, which first appears when it is counted.
func (b byLabel[T, S]) createAll() {
	for _, v := range b.values {
		if v != other {
			b.create(v)
		}
	}
}

// set is the closed set of the values that a label may have.
type set[T ~string] map[T]struct{}

func setOf[T ~string](values []T) set[T] {
	s := make(set[T], len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}

// label returns v, or other if v is not in the set.
func (s set[T]) label(v T) string {
	if _, known := s[v]; known {
		return string(v)
	}
	return other
}
