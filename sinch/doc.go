// Package sinch is a typed client of Sinch's SMS REST API, for service plans and projects.
//
// A Client has one method for each batch operation (Send, DryRun, Batches, GetBatch, Update, Replace, Cancel, Feedback
// and FeedbackWholeBatch) and each report operation (GetReport, GetRecipientReport, Reports). Lists are iterators that
// fetch one page after another. A message is a TextMessage, a BinaryMessage or a MediaMessage. ParseMessage and
// ParseUpdate decode the JSON of a request; ParseBatch decodes the JSON of an answer.
//
// # Errors
//
// An InvalidError, ErrID or ErrRecipients means that the arguments break a rule of Sinch's and no call was made. An
// Error of the operation FetchToken means that there was no token, so the call was not made either. Any other Error is
// an answer that is not a success, or a success that cannot be decoded; decide by its HTTPStatus. Every other error
// means that there was no complete answer, and wraps the cause.
//
// A method makes one attempt. It repeats a call only if Sinch refused it because the OAuth2 token had just expired. It
// does not follow redirects, and reads an answer only up to the configured limit. When and how often to retry is the
// caller's decision. Every call except Send can be repeated safely (Update only if nobody else changes the batch
// meanwhile): Sinch cannot recognize a repeated send. After a timeout, look for the batch with Batches and its
// ClientReference before sending it again.
//
// # Decoding
//
// Answers are decoded tolerantly: members may be absent, unknown (they are kept) or of another JSON type. It is an
// error only if the answer is about another batch or another page than requested, because it would lead to a wrong
// decision. Requests are decoded strictly.
package sinch
