package handlers

import (
	"net/http"
	"strings"
)

// withoutTrace answers TRACE and CONNECT with 405, and passes everything else to next. A server behind the gateway that
// answers TRACE would show the caller the plan's token, and CONNECT would open a tunnel. TRACK is Microsoft's TRACE. Some
// servers ignore the letter case of a method.
func withoutTrace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !traces(r.Method) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		(&problem{kind: kindMethod, detail: "TRACE and CONNECT are not allowed at any address"}).write(w, r)
	})
}

func traces(method string) bool {
	return strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, http.MethodConnect) ||
		strings.EqualFold(method, "TRACK")
}
