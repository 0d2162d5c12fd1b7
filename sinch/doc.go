// Package sinch is a typed client of Sinch's SMS REST API: one method for each operation, both credential models, and
// one error type for everything that Sinch answers but a success.
//
// A method makes one attempt. It repeats nothing but a call whose OAuth2 token had just expired, follows no redirect and
// reads no more of an answer than the configured bound: when and how often to try again is the caller's to decide.
//
// What Sinch answers is read tolerantly (members may be missing, unknown or of another JSON type), except for the one
// thing that a wrong answer would turn into a wrong decision: an answer that is not about the batch asked for is an error.
package sinch
