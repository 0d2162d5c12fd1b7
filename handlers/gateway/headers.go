package gateway

import (
	"net/http/httputil"
	"slices"
	"strings"
)

// endToEnd lists headers that are passed on to Sinch even if the caller's Connection header names them; so are all
// headers that begin with Content-. Without them the request would lose its credential or change its meaning.
var endToEnd = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Idempotency-Key", "User-Agent",
}

// overriding lists headers by which some servers replace the path or the method of a request. The gateway removes them,
// because they could move a checked request out of the plan's path or turn it into a TRACE.
var overriding = []string{
	"X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
}

// sanitize changes the headers of r.Out, the request to Sinch. It restores the headers in endToEnd, which ReverseProxy
// removes if Connection names them. It removes those in overriding, X-Forwarded headers, which describe the internal
// network, and all trailers, since a server may treat a trailer as a header.
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
