// Package problem converts errors into answers by RFC 9457 (problem+json) and into log lines. Of returns the Problem
// for an error; docs/problems.md describes every Kind. LogSampler limits the log lines, and RequestID returns the id
// that links an answer with its line. All packages under handlers may import problem; problem imports only the store's
// errors.
package problem
