package xms

import (
	"fmt"
	"net/http"
)

// Error is an error answer: an HTTP status and, where Sinch documents one, a body with code and text.
type Error struct {
	Status int    `json:"-"`
	Code   string `json:"code"` // empty for an answer without a body
	Text   string `json:"text"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Text) }

// InvalidJSON returns a 400 for a body or member that is not JSON of the right type. Pass the sentence to answer.
func InvalidJSON(text string) *Error {
	return &Error{http.StatusBadRequest, "syntax_invalid_json", text}
}

// InvalidFormat returns a 400 for a value that is not a valid what, such as "number".
func InvalidFormat(value, what string) *Error {
	return &Error{
		http.StatusBadRequest, "syntax_invalid_parameter_format",
		fmt.Sprintf("'%s' is not a valid %s", value, what),
	}
}

// Violation returns a 400 for a member outside its limits. Pass the violated rule, as for fmt.Sprintf.
func Violation(format string, args ...any) *Error {
	text := fmt.Sprintf("The body does not satisfy a constraint: "+format, args...)
	return &Error{http.StatusBadRequest, "syntax_constraint_violation", text}
}

// Forbidden returns a 403 with Sinch's error code and a sentence.
func Forbidden(code, text string) *Error {
	return &Error{http.StatusForbidden, code, text}
}

// UnknownGroup returns the 403 for a group that does not exist. Pass the group's id.
func UnknownGroup(id string) *Error {
	return Forbidden("unknown_group", "Group "+id+" does not exist")
}

// WithoutBody returns an error answer for which Sinch documents no body. Pass the HTTP status.
func WithoutBody(status int) *Error { return &Error{Status: status} }
