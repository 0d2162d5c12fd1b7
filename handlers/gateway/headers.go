package gateway

import (
	"net/http/httputil"
	"slices"
	"strings"
)

// endToEnd lists the headers that are passed on to Sinch even if the caller's Connection header names them: without
// them the request would lose its credential or change its meaning. The same holds for every header that begins with
// Content-.
var endToEnd = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Idempotency-Key", "User-Agent",
}

// overriding lists the headers that some servers obey in place of the path or the method. With them a request could
// leave the plan's path, or become a TRACE, after the gateway has checked it.
var overriding = []string{
	"X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method", "X-Http-Method-Override", "X-Method-Override",
}

// sanitize restores the end-to-end headers that ReverseProxy removed because Connection named them. It removes the
// headers that override path or method, and those that describe the internal network. It also removes trailers, since
// a server may merge them into the headers.
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
