package dlr

import "sort"

// Class groups the codes of delivery errors by origin: a network element, such as the carrier's SMS center, or a stage
// of sending. The constants below are the only values, so that the class can be a metric label.
type Class string

// The values of Class, which are also the values of the metric label code_class. Each names where a message failed, for
// example at Sinch (ClassInternal) or in the carrier's SMS center (ClassSMSC).
const (
	ClassNone         Class = "none"          // no error, or an unknown one
	ClassQueue        Class = "queue"         // accepted and on its way
	ClassREST         Class = "rest"          // stopped by the REST API before any SMSC
	ClassRouting      Class = "routing"       // no route to the destination
	ClassScreening    Class = "screening"     // blocked by a rule, a quota or the subscriber
	ClassInternal     Class = "internal"      // failure at Sinch
	ClassESME         Class = "esme"          // failure on Sinch's side of an SMPP connection
	ClassESMEExternal Class = "esme_external" // refused by the other side of an SMPP connection
	ClassSMSC         Class = "smsc"          // from the carrier's SMS center
	ClassHLR          Class = "hlr"           // from the carrier's home register: subscriber unknown or unreachable
	ClassMSC          Class = "msc"           // from the switch that serves the phone
	ClassMMS          Class = "mms"           // multimedia messages only
	ClassOther        Class = "other"         // not documented
)

// Classes returns all values of Class. The caller owns the slice.
func Classes() []Class {
	return []Class{
		ClassNone, ClassQueue, ClassREST, ClassRouting, ClassScreening, ClassInternal, ClassESME, ClassESMEExternal,
		ClassSMSC, ClassHLR, ClassMSC, ClassMMS, ClassOther,
	}
}

// Permanence says whether a delivery error is permanent or temporary. After a temporary error, sending the message
// again may succeed.
type Permanence string

// The values of Permanence. Permanent and Temporary come from Sinch's list of delivery error codes. Unset means that
// the list says neither.
const (
	Permanent Permanence = "permanent"
	Temporary Permanence = "temporary"
	Unset     Permanence = "unset" // not documented
)

// Code describes a numeric delivery error code, which explains the status of a message. The status alone tells whether
// the message was delivered: Sinch sends code 0 (no error) even with the status Failed.
type Code struct {
	Number     int
	Name       string // Sinch's name for a REST code (Message unroutable), or our description (absent subscriber)
	Class      Class
	Permanence Permanence
}

// LookupCode returns the description of code n. It never fails, because Sinch adds codes without notice. If n is
// undocumented, the Name says so and the Permanence is Unset. The Class is then ClassMMS for 2000 to 2599, and
// ClassOther for other codes. NoCode, which stands for a missing code, has the Name "no code", the Class ClassOther and
// the Permanence Unset.
func LookupCode(n int) Code {
	if n >= 0 && n < len(codes) && codes[n].name != "" {
		return codes[n].code(n)
	}
	if i, found := sort.Find(len(mmsCodes), func(i int) int { return n - mmsCodes[i].number }); found {
		return mmsCodes[i].code(n)
	}
	switch {
	case n == NoCode:
		return Code{Number: n, Name: "no code", Class: ClassOther, Permanence: Unset}
	case n >= 2000 && n <= 2599:
		return Code{Number: n, Name: "undocumented MMS code", Class: ClassMMS, Permanence: Unset}
	}
	return Code{Number: n, Name: "undocumented code", Class: ClassOther, Permanence: Unset}
}
