package gateway

import (
	"net/http/httputil"
	"slices"
	"strings"
)

// endToEnd lists headers that are passed on to Sinch even if the caller's Connection header names them. All headers
// that begin with Content- are passed on, too. httputil.ReverseProxy removes any other header that Connection names.
var endToEnd = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Idempotency-Key", "User-Agent",
}

// overriding lists headers that on some servers replace the path or the method of a request. The gateway removes them,
// so that a caller cannot use them to reach a path outside its service plan.
var overriding = []string{
	"X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
}

// sanitize sets the headers of r.Out, the request to Sinch. It copies the headers in endToEnd from the caller's
// request, since ReverseProxy may have removed them. It removes the headers in overriding, all X-Forwarded headers and
// all trailers.
func sanitize(r *httputil.ProxyRequest) {
	for name, values := range r.In.Header {
		switch {
		case slices.Contains(endToEnd, name), strings.HasPrefix(name, "Content-"):
			r.Out.Header[name] = values
		case strings.HasPrefix(name, "X-Forwarded-"):
			delete(r.Out.Header, name)
		}
	}
	for _, name := range overriding {
		r.Out.Header.Del(name)
	}
	r.Out.Trailer = nil
}
