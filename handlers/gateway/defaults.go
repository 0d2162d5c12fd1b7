package gateway

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/dlrloop/dlrloop/metrics"
)

// completeSend inserts missing members into the body of a send if the plan has a Callback: delivery_report if the
// batch wants feedback, callback_url if it requests reports. Only then the body is read before Sinch is called.
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
		length += int64(len(i.text) - i.instead)
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

// insertion is a text that replaces the given number of bytes at an offset of a body.
type insertion struct {
	at, instead int
	text        string
}

// spliced returns a reader of body with the insertions applied. They must be sorted by offset.
func spliced(body []byte, put []insertion) io.Reader {
	var parts []io.Reader
	from := 0
	for _, i := range put {
		parts = append(parts, bytes.NewReader(body[from:i.at]), bytes.NewReader([]byte(i.text)))
		from = i.at + i.instead
	}
	return io.MultiReader(append(parts, bytes.NewReader(body[from:]))...)
}

// reportDefault is the delivery_report of a batch that wants feedback: one report per recipient, with its final
// status.
const reportDefault = "per_recipient_final"

// completion returns the insertions that complete a send; none if the body is not a JSON object. A null member counts
// as missing.
func completion(body []byte, callback string) []insertion {
	start := len(body) - len(bytes.TrimLeft(body, " \t\r\n"))
	if start == len(body) || body[start] != '{' || !json.Valid(body) {
		return nil
	}
	var wanted, kind, url value // of several members with one name the last one counts
	eachMember(body, start, func(name string, v value) {
		switch name {
		case "feedback_enabled":
			wanted = v
		case "delivery_report":
			kind = v
		case "callback_url":
			url = v
		}
	})
	var put []insertion
	add := func(name, text string, v value) {
		quoted, _ := json.Marshal(text) // a string can be encoded
		if v.to > 0 {
			put = append(put, insertion{at: v.from, instead: v.to - v.from, text: string(quoted)})
			return
		}
		// The comma is valid: a member made this insertion necessary, so the object is not empty.
		put = append([]insertion{{at: start + 1, text: `"` + name + `":` + string(quoted) + `,`}}, put...)
	}
	reports := !kind.absent(body) && reportsAsked(body[kind.from:kind.to])
	if kind.absent(body) && string(body[wanted.from:wanted.to]) == "true" {
		reports = true
		add("delivery_report", reportDefault, kind)
	}
	if reports && url.absent(body) {
		add("callback_url", callback, url)
	}
	if len(put) == 2 && put[0].at > put[1].at {
		put[0], put[1] = put[1], put[0]
	}
	return put
}

// reportsAsked reports whether the value of delivery_report requests reports.
func reportsAsked(kind []byte) bool {
	var s string
	return json.Unmarshal(kind, &s) == nil && s != "none"
}

// value is the offset range of a member's value; zero if the member is missing.
type value struct{ from, to int }

func (v value) absent(body []byte) bool { return v.to == 0 || string(body[v.from:v.to]) == "null" }

// eachMember calls visit for each member of the object that begins at start. The body must be valid JSON.
func eachMember(body []byte, start int, visit func(name string, v value)) {
	i := afterSpace(body, start+1)
	for body[i] != '}' {
		end := afterValue(body, i)
		var name string
		_ = json.Unmarshal(body[i:end], &name) // the name is a valid JSON string
		from := afterSpace(body, afterSpace(body, end)+1)
		to := afterValue(body, from)
		visit(name, value{from, to})
		if i = afterSpace(body, to); body[i] == ',' {
			i = afterSpace(body, i+1)
		}
	}
}

func afterSpace(body []byte, i int) int {
	for body[i] == ' ' || body[i] == '\t' || body[i] == '\r' || body[i] == '\n' {
		i++
	}
	return i
}

// afterValue returns the offset behind the value that begins at i.
func afterValue(body []byte, i int) int {
	depth := 0
	for {
		switch body[i] {
		case '"':
			i = afterString(body, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		default:
			i++
			if next := body[i]; next != ',' && next != '}' && next != ']' && next > ' ' {
				continue
			}
		}
		if depth == 0 {
			return i
		}
	}
}

// afterString returns the offset behind the string that begins at i.
func afterString(body []byte, i int) int {
	for i++; body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return i + 1
}
