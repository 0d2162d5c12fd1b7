package batches

import (
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// renderMessages computes the text of each message of b and sets the message's fields parts, encoding, unmatched and
// tooLong from it. The text itself is not kept. The caller must hold s.mu.
func (s *Store) renderMessages(b *batch) {
	template, maxParts := b.request.Template(), b.request.MaxParts
	if template.SameForAll() && maxParts == nil && !b.plan.SmartEncoding {
		return
	}
	for i := range b.recipients {
		m := &b.recipients[i]
		r := template.For(m.digits)
		m.unmatched = r.Unmatched
		if maxParts != nil {
			m.parts = uint16(r.Parts)
			m.tooLong = r.Parts > *maxParts
		}
		if b.plan.SmartEncoding && *b.request.Type == xms.TypeText {
			m.encoding = r.Encoding.ReportName
		}
	}
}
