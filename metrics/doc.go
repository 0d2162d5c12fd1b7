// Package metrics holds every series that dlrloop exports: names, labels and help. docs/metrics.md is made from it.
//
// Labels come from closed sets; what is outside counts as other. Known values exist at zero before their first use, so
// that a rate sees the first event too. No batch, recipient or URL is a label, and a scrape never scans the store.
package metrics
