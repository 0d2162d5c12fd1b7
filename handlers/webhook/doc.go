// Package webhook answers the callbacks of Sinch on the public listener. New returns its handler. For each callback,
// Webhook limits and reads the body, verifies the raw bytes, parses the report, and blocks in the store's Record until
// the report is durable. Only then it answers 200. Packages server and config import webhook; webhook does not import
// gateway or api.
package webhook
