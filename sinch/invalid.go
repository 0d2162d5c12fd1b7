package sinch

import "fmt"

// InvalidError means that what was to be sent is against a rule of Sinch's, so that nothing was called. It shows no whole
// number.
type InvalidError struct {
	Member string // in Sinch's spelling, such as expire_at, to[3] or body.url; empty if it is about the whole
	Reason string // what is wrong and what to do
}

func (e *InvalidError) Error() string {
	if e.Member == "" {
		return e.Reason
	}
	return e.Member + ": " + e.Reason
}

func invalid(member, format string, values ...any) error {
	return &InvalidError{Member: member, Reason: fmt.Sprintf(format, values...)}
}

// firstOf returns the first error there is.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
