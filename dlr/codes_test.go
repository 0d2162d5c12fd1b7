package dlr

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLookupCode(t *testing.T) {
	for _, want := range []Code{
		{0, "no error, or unknown error", ClassNone, Temporary},
		{4, "internal routing error", ClassRouting, Temporary},
		{60, "originator blocked", ClassScreening, Permanent},
		{153, "absent subscriber", ClassHLR, Temporary},
		{400, "Queued", ClassQueue, Unset},
		{402, "Message unroutable", ClassREST, Permanent},
		{404, "Temporary delivery failure", ClassREST, Temporary},
		{407, "Cancelled", ClassREST, Unset},
		{413, "Blocked", ClassREST, Unset},
		{417, "DR unreachable", ClassMMS, Unset},
		{1000, "success", ClassMMS, Unset},
		{2004, "content refused by the carrier", ClassMMS, Unset},
		{2599, "undocumented MMS code", ClassMMS, Unset},
		{4007, "service denied by the carrier", ClassMMS, Unset},
		{NoCode, "no code", ClassOther, Unset},
	} {
		require.Equal(t, want, LookupCode(want.Number))
	}
}

// documented is the published table by range: the class, and the temporary codes.
var documented = []struct {
	from, to  int
	class     Class
	temporary []int
	all       bool // all temporary
	missing   []int
}{
	{from: 1, to: 14, class: ClassRouting, temporary: []int{4, 14}},
	{from: 15, to: 16, class: ClassScreening},
	{from: 17, to: 17, class: ClassRouting},
	{from: 18, to: 18, class: ClassESME, all: true},
	{from: 19, to: 19, class: ClassScreening},
	{from: 40, to: 40, class: ClassInternal, all: true},
	{from: 50, to: 56, class: ClassInternal, temporary: []int{50, 51, 52, 56}},
	{from: 60, to: 67, class: ClassScreening},
	{from: 70, to: 77, class: ClassESME, temporary: []int{70, 71, 73, 74, 75, 76}},
	{from: 100, to: 114, class: ClassSMSC, temporary: []int{101, 102, 106, 107, 109, 111, 112, 114}},
	{from: 150, to: 164, class: ClassHLR, temporary: []int{153, 155, 158, 159, 161, 162, 164}},
	{from: 200, to: 217, class: ClassMSC, temporary: []int{200, 201, 202, 203, 207, 210, 211, 212, 214, 215, 217}},
	{from: 250, to: 257, class: ClassScreening},
	{from: 300, to: 304, class: ClassESMEExternal},
	{from: 310, to: 312, class: ClassESMEExternal},
	{from: 320, to: 322, class: ClassESMEExternal, temporary: []int{322}},
	{from: 330, to: 349, class: ClassESMEExternal},
	{from: 350, to: 399, class: ClassESMEExternal, all: true, missing: between(350, 399, 350, 360, 361, 362, 370, 399)},
}

// between returns the numbers from first to last except those in but.
func between(first, last int, but ...int) []int {
	var list []int
	for n := first; n <= last; n++ {
		if !slices.Contains(but, n) {
			list = append(list, n)
		}
	}
	return list
}

func TestSMPPCodesMatchThePublishedTable(t *testing.T) {
	known := map[int]bool{0: true}
	for _, r := range documented {
		for n := r.from; n <= r.to; n++ {
			if slices.Contains(r.missing, n) {
				continue
			}
			known[n] = true
			permanence := Permanent
			if r.all || slices.Contains(r.temporary, n) {
				permanence = Temporary
			}
			code := LookupCode(n)
			require.Equal(t, r.class, code.Class, n)
			require.Equal(t, permanence, code.Permanence, n)
		}
	}
	for n := range 400 {
		require.Equal(t, known[n], LookupCode(n).Class != ClassOther, n)
	}
}

func TestRESTCodes(t *testing.T) {
	for n := 400; n <= 418; n++ {
		want := ClassREST
		switch {
		case n <= 401:
			want = ClassQueue
		case n >= 414:
			want = ClassMMS
		}
		require.Equal(t, want, LookupCode(n).Class, n)
	}
}

func TestLookupCodeNeverFails(t *testing.T) {
	unknown := append(between(419, 999), 20, 41, 115, 1001, 1999, 2600, 2999, 4711, 65535, math.MaxInt, -2, -400,
		math.MinInt)
	for _, n := range unknown {
		require.Equal(t, Code{n, "undocumented code", ClassOther, Unset}, LookupCode(n))
	}
	for n := -10; n < 5000; n++ {
		code := LookupCode(n)
		require.Equal(t, n, code.Number)
		require.NotEmpty(t, code.Name, n)
		require.Contains(t, Classes(), code.Class, n)
		require.Contains(t, []Permanence{Permanent, Temporary, Unset}, code.Permanence, n)
	}
}

func TestMMSCodesAreOrdered(t *testing.T) {
	for _, row := range mmsCodes {
		require.Equal(t, row.code(row.number), LookupCode(row.number), "the table is ordered")
	}
}

func TestEveryClassIsUsedAndAValidLabel(t *testing.T) {
	used := map[Class]bool{}
	for n := -1; n < 5000; n++ {
		used[LookupCode(n).Class] = true
	}
	require.Len(t, used, len(Classes()))
	for _, class := range Classes() {
		require.True(t, used[class], class)
		require.Regexp(t, `^[a-z_]+$`, string(class))
	}
}

func ExampleLookupCode() {
	code := LookupCode(153)
	fmt.Println(code.Name, code.Class, code.Permanence)
	// Output: absent subscriber hlr temporary
}
