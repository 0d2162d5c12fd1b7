package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// feedEvent is an event of the feed, decoded from JSON, with the members that dlrloop tail prints. Which members of
// Data are set depends on Type.
type feedEvent struct {
	Type      store.EventType `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Data      struct {
		Plan         string        `json:"plan"`
		BatchID      string        `json:"batch_id"`
		Recipient    string        `json:"recipient"`
		codeOfStatus               // of a recipient
		Counts       []statusCount `json:"counts"`
		Recipients   []string      `json:"recipients"`
		WholeBatch   bool          `json:"whole_batch"`
		Reason       string        `json:"reason"`
		Detail       string        `json:"detail"`
		InboundID    string        `json:"inbound_id"`
		From         string        `json:"from"`
		To           string        `json:"to"`
		Body         string        `json:"body"`
		Key          string        `json:"key"`
		CallbackType string        `json:"callback_type"`
	} `json:"data"`
}

type codeOfStatus struct {
	Status dlr.Status `json:"status"`
	Code   *int       `json:"code"`
	Name   string     `json:"code_name"`
}

type statusCount struct {
	Status   dlr.Status `json:"status"`
	Final    bool       `json:"final"`
	Messages int        `json:"messages"`
}

// tailPrinter prints events for people, one a line, in aligned columns. If color is true, the status or type of each
// event is colored.
type tailPrinter struct {
	out   io.Writer
	color bool
}

// The ANSI escape sequences that color text on a terminal. normal ends a color.
const (
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	blue   = "\x1b[34m"
	violet = "\x1b[35m"
	normal = "\x1b[0m"
)

func (p tailPrinter) print(line feedLine) error {
	var e feedEvent
	if err := json.Unmarshal(line.Event, &e); err != nil {
		return fmt.Errorf("an event cannot be read: %w", err)
	}
	what, who, id, detail := e.columns()
	what = fmt.Sprintf("%-20s", printable(what))
	if p.color {
		what = e.colorOf() + what + normal
	}
	text := fmt.Sprintf("%s  %s  %-15s  %-26s  %s  %s", clock(e.Timestamp), what, printable(who), printable(id),
		printable(e.Data.Plan), printable(detail))
	_, err := fmt.Fprintln(p.out, strings.TrimRight(text, " "))
	return err
}

// columns returns the texts that dlrloop tail prints for the event: the status or type, the phone number, the id of the
// batch or message, and the details. A text is empty if the event has none.
func (e *feedEvent) columns() (what, who, id, detail string) {
	d := &e.Data
	what, id = string(e.Type), d.BatchID
	switch e.Type {
	case store.RecipientStatus:
		what, who, detail = string(d.Status), d.Recipient, d.text()
	case store.BatchCompleted:
		detail = finalCounts(d.Counts)
	case store.FeedbackAccepted, store.FeedbackGivenUp:
		if who = count(len(d.Recipients), "recipient"); d.WholeBatch {
			who = "whole batch"
		}
		detail = strings.Trim(d.Reason+": "+d.Detail, ": ")
	case store.InboundReceived:
		who, id, detail = d.From, d.InboundID, strings.TrimSuffix("to "+d.To+": "+shortened(d.Body, 80), ": ")
	case store.CallbackQuarantined:
		id, detail = d.Key, strings.TrimSpace(d.Reason+" "+d.CallbackType)
	}
	return what, who, id, detail
}

// text returns the code and its name, such as "153 absent subscriber". It returns "" if there is no code, and for code
// 0, which says nothing.
func (c codeOfStatus) text() string {
	switch {
	case c.Code == nil, *c.Code == 0:
		return ""
	case c.Name == string(c.Status):
		return strconv.Itoa(*c.Code)
	}
	return fmt.Sprintf("%d %s", *c.Code, c.Name)
}

// finalCounts returns how many messages were reported with each final status, such as "80 Delivered, 3 Failed". A
// message that was reported with several final statuses counts in each of them.
func finalCounts(counts []statusCount) string {
	var order []dlr.Status
	sum := map[dlr.Status]int{}
	for _, c := range counts {
		if !c.Final {
			continue
		}
		if sum[c.Status] == 0 {
			order = append(order, c.Status)
		}
		sum[c.Status] += c.Messages
	}
	parts := make([]string, len(order))
	for i, s := range order {
		parts[i] = fmt.Sprintf("%d %s", sum[s], s)
	}
	return strings.Join(parts, ", ")
}

func (e *feedEvent) colorOf() string {
	switch e.Type {
	case store.RecipientStatus:
		switch s := e.Data.Status; {
		case s == dlr.Delivered:
			return green
		case s == dlr.Unknown:
			return yellow
		case s.Final():
			return red
		}
		return blue
	case store.FeedbackGivenUp:
		return red
	case store.CallbackQuarantined:
		return yellow
	case store.BatchCompleted, store.FeedbackAccepted:
		return green
	}
	return violet
}
