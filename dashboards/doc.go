// Package dashboards makes the Grafana dashboards of dlrloop. The JSON files beside it are what it makes, and a test
// holds both equal:
//
//	go test ./... -update
//
// A panel is written as data: a title, what it says in words, a unit, and its PromQL with placeholders in angle brackets
// (promql.go). How a kind of panel is drawn is in kinds.go, where panels lie is reckoned in layout.go.
package dashboards
