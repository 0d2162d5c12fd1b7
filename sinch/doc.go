// Package sinch is a typed client of Sinch's SMS REST API, for service plans and for projects.
//
// A Client has a method for each operation on batches (Send, DryRun, Batches, GetBatch, Update, Replace, Cancel, Feedback and
// FeedbackEveryone) and on delivery reports (GetReport, GetRecipientReport, Reports). Lists are iterators that fetch page after
// page. What is sent is a TextMessage, a BinaryMessage or a MediaMessage; ParseMessage and ParseUpdate read what is to be sent
// from the JSON of a request, ParseBatch reads a batch from the JSON of an answer.
//
// # What a call can end with
//
// An InvalidError names the member that breaks a rule of Sinch's: nothing was called. So it is with ErrID, ErrRecipients and
// an Error of the operation FetchToken. Any other Error is an answer that is no success, or a success that cannot be read: its
// HTTPStatus decides. Every other error means that there was no whole answer, and wraps the cause.
//
// A method makes one attempt. It repeats nothing but a call whose OAuth2 token had just expired, which Sinch then has not
// taken; it follows no redirect and reads no more of an answer than the configured bound. When and how often to try again is
// the caller's to decide. All calls may be repeated (an update unless somebody else changes the batch meanwhile) but a send:
// Sinch cannot tell that it has had it already. After a time-out look for the batch by its ClientReference, with Batches,
// before sending it again.
//
// # What is read
//
// What Sinch answers is read tolerantly: members may be missing, unknown (they are kept) or of another JSON type. Only where a
// wrong answer would make a wrong decision it is an error: when it is not about the batch asked for, or not the page.
// What is to be sent is read strictly.
package sinch
