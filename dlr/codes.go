package dlr

import "sort"

// Class is the part of the way to the phone on which a code was given. The set is closed: it labels metrics.
type Class string

// The classes.
const (
	ClassNone         Class = "none"          // no error, or none that is known
	ClassQueue        Class = "queue"         // on its way, nothing wrong
	ClassREST         Class = "rest"          // stopped by the REST API, before any SMSC
	ClassRouting      Class = "routing"       // no way to the destination
	ClassScreening    Class = "screening"     // blocked by a rule, a quota or the subscriber
	ClassInternal     Class = "internal"      // a fault at Sinch
	ClassESME         Class = "esme"          // a fault at Sinch's side of an SMPP connection
	ClassESMEExternal Class = "esme_external" // refused by the other side of an SMPP connection
	ClassSMSC         Class = "smsc"          // from the carrier's SMS centre
	ClassHLR          Class = "hlr"           // from the carrier's home register: does the subscriber exist, is it reachable
	ClassMSC          Class = "msc"           // from the switch that serves the phone
	ClassMMS          Class = "mms"           // of multimedia messages only
	ClassOther        Class = "other"         // not documented
)

// Classes returns the closed set.
func Classes() []Class {
	return []Class{
		ClassNone, ClassQueue, ClassREST, ClassRouting, ClassScreening, ClassInternal, ClassESME, ClassESMEExternal,
		ClassSMSC, ClassHLR, ClassMSC, ClassMMS, ClassOther,
	}
}

// Permanence says whether the same message to the same recipient can get through later.
type Permanence string

// The permanences.
const (
	Permanent Permanence = "permanent"
	Temporary Permanence = "temporary"
	Unset     Permanence = "unset" // Sinch does not say
)

// Code is what is known of a code's number. It explains a report and decides nothing: what became of the message is the
// status alone (0 comes with Failed too).
type Code struct {
	Number     int
	Name       string // Sinch's name of a REST code (Message unroutable), a description of others (absent subscriber)
	Class      Class
	Permanence Permanence
}

// LookupCode returns what is known of code n. It never fails: Sinch adds codes without notice, and one that is not
// documented, like NoCode, is of ClassOther.
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
