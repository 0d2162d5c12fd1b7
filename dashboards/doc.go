// Package dashboards generates dlrloop's Grafana dashboards. The JSON files in this directory are its output; a test
// checks that they are up to date. To regenerate them:
//
//	DLRLOOP_UPDATE=1 go test ./...
//
// A panel is a struct with a title, a description, a unit, and PromQL queries with placeholders in angle brackets
// (promql.go). kinds.go builds the kinds of panels, layout.go computes their positions.
package dashboards
