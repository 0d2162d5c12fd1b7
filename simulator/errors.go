package simulator

import (
	"fmt"
	"net/http"
)

// refusal is an answer other than success: a status and, where Sinch documents one, a body of code and text.
type refusal struct {
	status int
	Code   string `json:"code"`
	Text   string `json:"text"`
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.Code, r.Text) }

func invalidJSON(text string) *refusal {
	return &refusal{http.StatusBadRequest, "syntax_invalid_json", text}
}

func invalidFormat(value, what string) *refusal {
	return &refusal{http.StatusBadRequest, "syntax_invalid_parameter_format", fmt.Sprintf("'%s' is not a valid %s", value, what)}
}

func violation(format string, args ...any) *refusal {
	text := fmt.Sprintf("The body does not satisfy a constraint: "+format, args...)
	return &refusal{http.StatusBadRequest, "syntax_constraint_violation", text}
}

func forbidden(code, text string) *refusal {
	return &refusal{http.StatusForbidden, code, text}
}

func unknownGroup(id string) *refusal {
	return forbidden("unknown_group", "Group "+id+" does not exist")
}

// bare is a refusal whose body Sinch does not document: it is empty.
func bare(status int) *refusal { return &refusal{status: status} }
