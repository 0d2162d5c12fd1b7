package gateway

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
)

// completeSend adds missing members to the JSON body of a call that creates a batch: delivery_report if the call sets
// feedback_enabled to true, and callback_url if the call requests delivery reports. It changes nothing for other calls,
// for a compressed body, or if Plan.Callback is empty. It returns an error if it cannot read the whole body.
func (p *proxiedRequest) completeSend() error {
	callback := *p.plan.callback.Load()
	if callback == "" || p.operation != metrics.GatewaySend ||
		p.r.ContentLength == 0 || p.r.Header.Get("Content-Encoding") != "" {
		return nil
	}
	body, err := p.body.whole(p.r.ContentLength)
	if err != nil {
		return err
	}
	put := completion(body, callback)
	length := int64(len(body))
	for _, i := range put {
		length += int64(len(i.text) - i.replaced)
	}
	p.r.ContentLength, p.r.TransferEncoding = length, nil
	p.r.Body = io.NopCloser(spliced(body, put))
	if p.r.Header["Idempotency-Key"] != nil || p.r.Header["X-Idempotency-Key"] != nil {
		// With such a header net/http would repeat a call that Sinch may have received. Sinch knows neither header.
		return nil
	}
	p.r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(spliced(body, put)), nil }
	return nil
}

// insertion is one change of a JSON body. It replaces a number of bytes at an offset with text. If the number is zero,
// it only inserts the text.
type insertion struct {
	at, replaced int // offset in the body, and number of bytes; replaced may be 0
	text         string
}

// spliced returns a reader of body with the insertions applied. The insertions must be sorted by offset. The reader
// uses body without copying it, so do not modify body while the reader is in use.
func spliced(body []byte, insertions []insertion) io.Reader {
	var parts []io.Reader
	from := 0
	for _, i := range insertions {
		parts = append(parts, bytes.NewReader(body[from:i.at]), bytes.NewReader([]byte(i.text)))
		from = i.at + i.replaced
	}
	return io.MultiReader(append(parts, bytes.NewReader(body[from:]))...)
}

// reportDefault is the value of delivery_report that the gateway adds to a call that creates a batch with
// feedback_enabled. It makes Sinch report the final status of each recipient.
const reportDefault = "per_recipient_final"

// completion returns the insertions, sorted by offset, with which completeSend completes body, the JSON of a call that
// creates a batch. callback is the callback_url to add. A member that is null counts as missing. The result is nil if
// no member has to be added, or if body is not a JSON object.
func completion(body []byte, callback string) []insertion {
	object := bytes.TrimSpace(body)
	if !json.Valid(body) || object[0] != '{' {
		return nil
	}
	var feedback, kind, url []byte // values; of several members with one name the last one counts
	for name, value := range dlr.Members(object) {
		switch string(name) {
		case "feedback_enabled":
			feedback = value
		case "delivery_report":
			kind = value
		case "callback_url":
			url = value
		}
	}
	var put []insertion
	add := func(name, text string, value []byte) {
		quoted, _ := json.Marshal(text) // a string can be encoded
		if value != nil {
			put = append(put, insertion{at: cap(body) - cap(value), replaced: len(value), text: string(quoted)})
			return
		}
		// The comma is valid: a member made this insertion necessary, so the object is not empty.
		at := cap(body) - cap(object) + len("{")
		put = append([]insertion{{at: at, text: `"` + name + `":` + string(quoted) + `,`}}, put...)
	}
	reports := !absent(kind) && requestsReports(kind)
	if absent(kind) && string(feedback) == "true" {
		reports = true
		add("delivery_report", reportDefault, kind)
	}
	if reports && absent(url) {
		add("callback_url", callback, url)
	}
	if len(put) == 2 && put[0].at > put[1].at {
		put[0], put[1] = put[1], put[0]
	}
	return put
}

func absent(value []byte) bool { return value == nil || string(value) == "null" }

// requestsReports reports whether kind, the JSON value of delivery_report, requests delivery reports. It returns true
// for every string except "none", and false for a value that is not a string.
func requestsReports(kind []byte) bool {
	var s string
	return json.Unmarshal(kind, &s) == nil && s != "none"
}
