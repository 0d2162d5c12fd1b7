package sinch

import "fmt"

// InvalidError means that a request breaks a rule of Sinch's, so that no call was made. Its text contains no whole
// phone number.
type InvalidError struct {
	// in Sinch's spelling, such as expire_at, to[3] or body.url; empty if the whole request is at fault
	Member string
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

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
