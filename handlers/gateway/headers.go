package gateway

import (
	"net/http/httputil"
	"slices"
	"strings"
)

// endToEnd lists headers that are passed on to Sinch even if the caller's Connection header says to remove them. The
// same holds for all headers that begin with Content-.
var endToEnd = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Idempotency-Key", "User-Agent",
}

// overriding lists headers that replace the path or the method of a request on some servers. The gateway removes them,
// so that no caller can leave the plan's path with them.
var overriding = []string{
	"X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
}

// sanitize sets the headers of r.Out, the request to Sinch. It restores the headers in endToEnd, which ReverseProxy may
// have removed. It removes the headers in overriding, the X-Forwarded headers and all trailers.
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
