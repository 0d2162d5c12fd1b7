package simulator

import (
	"fmt"
	"net/http"
)

// apiError is an error answer: a status and, where Sinch documents one, a body with code and text.
type apiError struct {
	status int
	Code   string `json:"code"`
	Text   string `json:"text"`
}

func (r *apiError) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.Code, r.Text) }

func invalidJSON(text string) *apiError {
	return &apiError{http.StatusBadRequest, "syntax_invalid_json", text}
}

func invalidFormat(value, what string) *apiError {
	return &apiError{
		http.StatusBadRequest, "syntax_invalid_parameter_format",
		fmt.Sprintf("'%s' is not a valid %s", value, what),
	}
}

func violation(format string, args ...any) *apiError {
	text := fmt.Sprintf("The body does not satisfy a constraint: "+format, args...)
	return &apiError{http.StatusBadRequest, "syntax_constraint_violation", text}
}

func forbidden(code, text string) *apiError {
	return &apiError{http.StatusForbidden, code, text}
}

func unknownGroup(id string) *apiError {
	return forbidden("unknown_group", "Group "+id+" does not exist")
}

// withoutBody returns an apiError with an empty body, since Sinch documents no body for it.
func withoutBody(status int) *apiError { return &apiError{status: status} }
