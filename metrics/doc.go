// Package metrics defines every series that dlrloop exports: name, labels and help. docs/metrics.md is generated from
// it.
//
// Label values come from closed sets; any other value counts as other. Known values exist at zero before their first
// use, so that a rate includes the first increment. No label contains a batch, a recipient or a URL, and a scrape never
// scans the store.
package metrics
