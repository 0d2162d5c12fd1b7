package sinch

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Sinch's documented limits, which the rules in this file check. Lengths are in characters unless noted.
const (
	maxEntries   = 1000
	maxBody      = 2000
	maxBinary    = 140 // bytes of body and udh together
	maxURL       = 2048
	maxReference = 2048
	maxKey       = 16 // of a parameter key
	maxValidity  = 3 * 24 * time.Hour
	maxTON       = 6
	maxNPI       = 18
	maxPageSize  = 100
	maxDryRun    = 1000 // recipients in the details of a dry run
)

// entriesRule checks that a list has at most maxEntries recipients, none of them blank. member is its name in JSON.
func entriesRule(member string, to []string) error {
	if len(to) > maxEntries {
		return invalid(member, "it has more than %d entries; divide them among several batches", maxEntries)
	}
	for i, entry := range to {
		if strings.TrimSpace(entry) == "" {
			return invalid(fmt.Sprintf("%s[%d]", member, i), "it is blank; name a number or a group, or leave it out")
		}
	}
	return nil
}

func toRule(to []string) error {
	if len(to) == 0 {
		return invalid("to", "it is empty; name at least one number or group")
	}
	return entriesRule("to", to)
}

func kindRule(k DeliveryReport) error {
	switch k {
	case "", ReportNone, ReportSummary, ReportFull, ReportPerRecipient, ReportPerRecipientFinal:
		return nil
	}
	return invalid("delivery_report", "use none, summary, full, per_recipient or per_recipient_final")
}

// validityRule checks that a message expires after it is sent, by at most maxValidity. It accepts a time that is not
// set.
func validityRule(sendAt, expireAt time.Time) error {
	if sendAt.IsZero() || expireAt.IsZero() {
		return nil // Sinch derives a zero time from its own clock
	}
	switch validity := expireAt.Sub(sendAt); {
	case validity <= 0:
		return invalid("expire_at", "it must be after send_at")
	case validity > maxValidity:
		return invalid("expire_at", "it is more than 3 days after send_at; choose an earlier one or leave it out")
	}
	return nil
}

func lengthRule(member, s string, limit int) error {
	if utf8.RuneCountInString(s) > limit {
		return invalid(member, "it is longer than %d characters; shorten it", limit)
	}
	return nil
}

// urlRule checks that s is an http or https URL of at most maxURL characters, or empty. member is its name in JSON.
func urlRule(member, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return invalid(member, "it must be an http:// or https:// URL with a host")
	}
	return lengthRule(member, s, maxURL)
}

func parametersRule(p Parameters) error {
	for _, key := range slices.Sorted(maps.Keys(p)) {
		member := "parameters." + Clean(key, maxKey+1, nil)
		if key == "" || len(key) > maxKey || strings.ContainsFunc(key, notOfKeys) {
			return invalid(member, "a key must have 1 to %d of the characters A–Z a–z 0–9 . - _; rename it", maxKey)
		}
		for number := range p[key] {
			if strings.TrimSpace(number) == "" {
				return invalid(member, `a value is given for a blank recipient; name a number or "default"`)
			}
		}
	}
	return nil
}

func notOfKeys(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// rangeRule checks that a number is from lowest to highest, or nil, which means not set. member is its name in JSON.
func rangeRule(member string, v *int, lowest, highest int) error {
	if v != nil && (*v < lowest || *v > highest) {
		return invalid(member, "it must be between %d and %d", lowest, highest)
	}
	return nil
}

func senderRule(ton, npi *int) error {
	return firstError(rangeRule("from_ton", ton, 0, maxTON), rangeRule("from_npi", npi, 0, maxNPI))
}

func partsRule(parts int) error {
	if parts < 1 {
		return invalid("max_number_of_message_parts", "it must be at least 1; leave it out for no limit")
	}
	return nil
}

func binaryRule(body, udh []byte) error {
	if len(body)+len(udh) > maxBinary {
		return invalid("body", "it has more than %d bytes together with udh; divide it among several batches", maxBinary)
	}
	return nil
}

func mediaRule(m Media) error {
	if m.URL == "" {
		return invalid("body.url", "it is missing; set the URL of the media")
	}
	return firstError(urlRule("body.url", m.URL), unknownRule("body.", m.Unknown))
}

// unknownRule checks that the values in a field Unknown are JSON. An error names the member, after the given prefix.
func unknownRule(prefix string, unknown map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		if !json.Valid(unknown[name]) {
			return invalid(prefix+Clean(name, maxCode, nil), "it is not JSON")
		}
	}
	return nil
}

func requestRule(limit int64) error {
	return invalid("", "the request has more than %d bytes; divide it among several batches", limit)
}
