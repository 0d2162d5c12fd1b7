package sinch

import "fmt"

// InvalidError means that no call was made, because the request breaks a rule of Sinch's. Its text contains no whole
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
