package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dlrloop/dlrloop/metrics"
)

// pathPrefix is the beginning of every path of Sinch's API. The gateway serves all paths that begin with it.
const pathPrefix = "/xms/v1/"

// isGateway reports whether the gateway serves the path of the request, whatever the method: the path begins with
// /xms/v1/.
func isGateway(r *http.Request) bool { return strings.HasPrefix(pathOf(r), pathPrefix) }

// pathOf returns the path of a request, still percent-encoded. Several slashes at its beginning are reduced to one.
func pathOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	if strings.HasPrefix(path, "//") {
		return "/" + strings.TrimLeft(path, "/")
	}
	return path
}

// route is what the gateway derives from the path and the method of a request: the plan, the operation of Sinch's API,
// and the batch.
type route struct {
	plan      string // first segment of the path, decoded: a plan's or project's id
	tail      string // the path after it, still escaped as received
	operation metrics.GatewayOperation
	batchID   string // decoded; empty if the path names no batch
}

func routeOf(r *http.Request) route {
	segment, tail := strings.TrimPrefix(pathOf(r), pathPrefix), ""
	if i := strings.IndexByte(segment, '/'); i >= 0 {
		segment, tail = segment[:i], segment[i:]
	}
	to := route{plan: unescaped(segment), tail: tail}
	to.operation, to.batchID = operationOf(r.Method, tail)
	return to
}

// staysInPlan reports whether every server resolves tail, the escaped path after the plan id, to a path below the plan.
// It returns false for segments like "..", and for characters that could turn a segment into "..", because some servers
// decode or ignore them.
func staysInPlan(tail string) bool {
	// Some servers decode twice, treat a backslash as a slash, map other alphabets to ASCII, ignore spaces, or ignore
	// what follows a semicolon, an encoded ? or #, or a control character.
	path := unescaped(tail)
	for i := range len(path) {
		if c := path[i]; c < ' ' || c > '~' || c == '%' || c == '\\' {
			return false
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if i := strings.IndexAny(segment, ";?#"); i >= 0 {
			segment = segment[:i]
		}
		if strings.Contains(segment, ".") && strings.Trim(segment, ". ") == "" {
			return false
		}
	}
	return true
}

// operationOf returns the operation of Sinch's API that a call requests, such as metrics.GatewaySend, or GatewayOther
// if unknown. It also returns the decoded batch id in the path, or "". tail is the escaped path after the plan id.
func operationOf(method, tail string) (op metrics.GatewayOperation, batchID string) {
	path := strings.Split(strings.TrimPrefix(tail, "/"), "/")
	for i := range path {
		path[i] = unescaped(path[i])
	}
	switch {
	case len(path) == 1 && path[0] == "batches":
		return pick(method, operations{http.MethodPost: metrics.GatewaySend, http.MethodGet: metrics.GatewayList}), ""
	case len(path) == 1 && path[0] == "delivery_reports":
		return pick(method, operations{http.MethodGet: metrics.GatewayReport}), ""
	case len(path) < 2 || path[0] != "batches" || path[1] == "":
		return metrics.GatewayOther, ""
	case len(path) == 2 && path[1] == "dry_run" && method == http.MethodPost:
		return metrics.GatewayDryRun, "" // the path looks like an update
	case len(path) == 2:
		return pick(method, operations{
			http.MethodGet: metrics.GatewayGet, http.MethodPost: metrics.GatewayUpdate,
			http.MethodPut: metrics.GatewayReplace, http.MethodDelete: metrics.GatewayCancel,
		}), path[1]
	case len(path) == 3 && path[2] == "delivery_feedback":
		return pick(method, operations{http.MethodPost: metrics.GatewayFeedback}), path[1]
	case len(path) <= 4 && path[2] == "delivery_report":
		return pick(method, operations{http.MethodGet: metrics.GatewayReport}), path[1]
	}
	return metrics.GatewayOther, ""
}

type operations map[string]metrics.GatewayOperation // by method

func pick(method string, of operations) metrics.GatewayOperation {
	if op, known := of[method]; known {
		return op
	}
	return metrics.GatewayOther
}

// unescaped removes the percent-encoding from segment, a path or a segment of a path. It must come from a path that
// net/http has parsed, so decoding cannot fail.
func unescaped(segment string) string {
	s, _ := url.PathUnescape(segment)
	return s
}
