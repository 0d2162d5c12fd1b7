package xms

import (
	"fmt"
	"net/http"
)

// Error is an error answer of the API: an HTTP status and, where Sinch documents one, a JSON body with code and text.
type Error struct {
	Status int    `json:"-"`
	Code   string `json:"code"` // empty for an answer without a body
	Text   string `json:"text"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Text) }

// InvalidJSON returns a 400 for JSON that is malformed or has a value of the wrong type. text explains what is wrong.
func InvalidJSON(text string) *Error {
	return &Error{http.StatusBadRequest, "syntax_invalid_json", text}
}

// InvalidFormat returns a 400 for a malformed value. kind says what the value should be, for example "number".
func InvalidFormat(value, kind string) *Error {
	return &Error{
		http.StatusBadRequest, "syntax_invalid_parameter_format",
		fmt.Sprintf("'%s' is not a valid %s", value, kind),
	}
}

// Violation returns a 400 for a field that breaks a rule. format and args describe the rule, as for fmt.Sprintf.
func Violation(format string, args ...any) *Error {
	text := fmt.Sprintf("The body does not satisfy a constraint: "+format, args...)
	return &Error{http.StatusBadRequest, "syntax_constraint_violation", text}
}

// Forbidden returns a 403. code is one of Sinch's error codes; text is a sentence that explains the refusal.
func Forbidden(code, text string) *Error {
	return &Error{http.StatusForbidden, code, text}
}

// UnknownGroup returns a 403 which says that the group with this id does not exist.
func UnknownGroup(id string) *Error {
	return Forbidden("unknown_group", "Group "+id+" does not exist")
}

// WithoutBody returns an error answer that has only an HTTP status, for cases in which Sinch documents no body.
func WithoutBody(status int) *Error { return &Error{Status: status} }
