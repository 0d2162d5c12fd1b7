package listener

import (
	"net/http"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// WithoutTrace returns a handler that answers the methods TRACE, TRACK (Microsoft's TRACE) and CONNECT with 405 and
// passes all other requests to next. If a TRACE reached Sinch, the answer could show a secret token of dlrloop to the
// client. A CONNECT could open a tunnel.
func WithoutTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !traces(r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		(&problem.Problem{Kind: problem.KindMethod, Detail: "TRACE and CONNECT are not allowed"}).Write(w, r)
	})
}

func traces(method string) bool {
	return strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, http.MethodConnect) ||
		strings.EqualFold(method, "TRACK")
}
