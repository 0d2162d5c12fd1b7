package listener

import (
	"net/http"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// WithoutTrace returns a handler that answers 405 to the methods TRACE, TRACK (Microsoft's TRACE) and CONNECT, in upper
// or lower case, and passes all other requests to next. A server behind the gateway that answers TRACE would reveal the
// plan's token to the caller, and CONNECT would open a tunnel.
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
