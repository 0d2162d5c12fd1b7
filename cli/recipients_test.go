package cli

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

func inUTF16(text string, order binary.AppendByteOrder) (content []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		content = order.AppendUint16(content, unit)
	}
	return content
}

func TestRecipientsInManyFormats(t *testing.T) {
	want := []string{"447700900101", "447700900102"}
	const lines = "447700900101\n447700900102\n"
	files := map[string][]byte{
		"UTF-16, little":          inUTF16("\ufeff"+lines, binary.LittleEndian),
		"UTF-16, big":             inUTF16("\ufeff"+lines, binary.BigEndian),
		"UTF-16, little, no mark": inUTF16(lines, binary.LittleEndian),
		"UTF-16, big, no mark":    inUTF16(lines, binary.BigEndian),
		"UTF-16, table": inUTF16("\ufeffName\tPhone\r\nJörg\t447700900101\r\nEva\t447700900102\r\n",
			binary.LittleEndian),
		"UTF-16, JSON": inUTF16("\ufeff[\"447700900101\", 447700900102]", binary.BigEndian),
		"Latin-1":      []byte("T\xe9l\xe9phone\n" + lines),
	}
	for name, text := range map[string]string{
		"lines": lines, "BOM": "\ufeff" + lines, "CRLF": "447700900101\r\n\r\n447700900102",
		"CR":              "447700900101\r447700900102\r",
		"spaces":          " +44 7700 900101 \n\t0044 7700-900102\n",
		"no-break spaces": "44\u00a07700\u00a0900101\u00a0\n+44 (7700) 900.102\u200b\n",
		"heading":         "phone\n" + lines, "heading in quotation marks": "\ufeff\"Phone number " +
			"(E.164)\"\n\"447700900101\"\n\"447700900102\"\n",
		"one line, commas": "447700900101,447700900102", "one line, semicolons": "447700900101; 447700900102;\n",
		"one line, tabs":     "447700900101\t447700900102",
		"commas at the ends": "447700900101,\n447700900102,\n", "table": "name,phone\nEva,447700900101\nJo,+447700900102\n",
		"table, semicolons": "Name;MSISDN;Note\nEva;447700900101;\"a; b\"\nJo;447700900102;c\n",
		"table, tabs":       "Eva\t447700900101\nJo\t447700900102\n",
		"table, no heading": "\"Doe, Jo\",447700900101\n\"Doe, Eva\",447700900102\n",
		"two numbers a row": "order,phone\n10000001,447700900101\n10000002,447700900102\n",
		"sep=":              "sep=;\r\nphone;name\r\n447700900101;a\r\n447700900102;b\r\n",
		"text for Excel":    "=\"447700900101\"\n'447700900102\n",
		"floats":            "phone\n447700900101.0\n447700900102.00\n", "EPP": "+44.7700900101\n+44.7700900102",
		"dots":                    "447.700.900.101\n447.700.900.102",
		"pandas":                  ",phone\n0,447700900101\n1,447700900102\n",
		"house numbers":           "number,phone\n1,447700900101\n2,447700900102\n",
		"heading with separators": "PHONE_NUMBER\n" + lines, "German heading": "Empfänger\n" + lines,
		"blank rows": "\n;;\nphone;;\n447700900101;;\n;;\n447700900102;;\n",
		"body":       `{"recipients": ["447700900101", "+44 7700 900102"]}`, "list": `["447700900101", "447700900102"]`,
		"JSON numbers": "\ufeff[447700900101,\n447700900102]\n",
	} {
		files[name] = []byte(text)
	}
	for name, content := range files {
		got, err := parseRecipients(content)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}

func TestInvalidRecipientsAreNamedByLine(t *testing.T) {
	for text, want := range map[string]string{
		"phone\n4.47701E+11\n447700900102\n":                   "line 2 was rounded by a spreadsheet",
		"phone;name\n447700900101;a\n4,47701E+11;b":            "line 3 was rounded by a spreadsheet",
		"4,47701E+11\n447700900102":                            "line 1 ",
		"[447700900101, 4.47701E+11]":                          "entry 2 was rounded by a spreadsheet",
		"447700900101\n\n447700900102 x\n":                     "line 3 is not a phone number",
		"447700900101\n4477009001**\n":                         "line 2 is not a phone number",
		"447700900101\n07700900102\n":                          "line 2 is a national number",
		"447700900101\n4477009001011234\n":                     "line 2 is not a phone number",
		"phone,name\n447700900101,a\n,b\n":                     "line 3 has no number in column 1",
		"4477009001O1\n447700900102\n":                         "line 1 is not a phone number",
		"phone\nmsisdn\n447700900101\n":                        "line 2 is not a phone number",
		"from,to and from\n447700900101,447700900102":          "line 1 has several columns",
		"447700900101,447700900102\n447700900103,447700900104": "line 1 has several columns",
		"a,b\nc,d\n":                                  "line 1 has several columns",
		"phone,status\n447700900101,ok\n":             "line 1 holds delivery statuses",
		"447700900101,Delivered\n447700900102,failed": "line 1 holds delivery statuses",
		"447,700,900,101\n447,700,900,102\n":          "line 1 has several columns",
		`{"recipients": ["447700900101", null]}`:      "entry 2 has no number",
		`[{"recipient": "447700900101"}]`:             "entry 1 is not a phone number",
		`["447700900101", ""]`:                        "entry 2 has no number",
		`["447700900101"] ["447700900102"]`:           "it is not",
		`{"recipient": "447700900101"}{}`:             "it is not",
		"447700900101\n2026-11-29\n":                  "line 2 is a date",
		"29.11.2026\n":                                "line 1 is a date",
		"name;when\nEva;29/11/2026\n":                 "line 1 has several columns",
		"phone\n447700900101.5\n":                     "line 2 is a decimal number",
		"phone\n447,700,900,101\n":                    "line 2 has more cells than the heading",
		"447,700,900,101\n":                           "line 1 is not a phone number",
		"name,phone\nA,447700900101\nTotal,1\n":       "line 3 is not a phone number",
		"192.168.100.200\n":                           "line 1 is not a phone number",
		"+44 (0)7700 900101\n":                        "line 1 has (0) in it",
		"anonymous\n447700900101\n":                   "line 1 is not a phone number",
		"xxxxxxx0101\n447700900101\n":                 "line 1 is not a phone number",
		"dxCJTlfb1UsF\n447700900101\n":                "line 1 is not a phone number",
		"2026-11-29\n447700900101":                    "line 1 is a date", "447700900101\n29.11.2026": "line 2 is a date",
		"phone\n29/11/2026": "line 2 is a date", "phone\n20261129": "line 2 is a date",
		"phone\n2026\u201311\u201329": "line 2 is a date",
		"phone\n29. 11. 2026":         "line 2 is a date", "phone\n2026-11-29 1030": "line 2 is a date",
		"phone\n29 11 2026": "line 2 is a date",
		"447700900101.5":    "line 1 is a decimal", "phone\n44 7700 900101.25": "line 2 is a decimal",
		"phone\n51.5073219":            "line 2 is a decimal",
		"phone;name\n447700900101,5;a": "line 2 is not a phone number in column 1",
		"phone\n-73985700":             "line 2 is not a phone number",
		"phone\n447,700,900,101":       "line 2 has more cells than the heading",
		"447,700,900,101":              "line 1 is not a phone number; it has too few digits",
		"phone,,\n447,700,900,101\n":   "line 2 has", "phone\n\"447,700,900,101\"": "line 2 is not a phone number",
		"name,phone\nA,447700900101\nTotal,1": "line 3 is not a phone number in column 2; it has too few digits",
		"phone\n192.168.100.200":              "line 2 is not a phone number; it is an IP address",
		"192.168.100.200/24":                  "line 1 is not a phone number; it is an IP address",
		"+44 (0)7700 900101":                  "line 1 has (0) in it", "phone\n+44 ( 0 ) 7700 900101": "line 2 has (0) in it",
		"+44 [0] 7700 900101": "line 1 has (0) in it", "+44-0-7700-900101": "line 1 has (0) in it",
		"anonymous\n447700900101":                  "line 1 is not a phone number, nor a heading",
		"xxxxxxx0101\n447700900101":                "line 1 is not a phone number",
		"01FC66621XXXXX119Z8PMV1QPQ\n447700900101": "line 1 is not a phone number",
		"Jo,anonymous\nEva,447700900101":           "line 1 has several columns",
		"dxCJTlfb\n447700900101":                   "line 1 is not a phone number",
		"\n\nphone\nx\n":                           "line 4 is not a phone number",
		"447700900101/102":                         "line 1 is not a phone number",
		"44+7700900101":                            "line 1 is not a phone number",
		"number,contact\n10000001,447700900101":    "line 1 has several columns",
		"\xff\xfe4":                                "ends in the middle of a character",
		"\x00\x00\x00\x00":                         "line 1 is not a phone number",
	} {
		got, err := parseRecipients([]byte(text))
		require.Empty(t, got, text)
		require.ErrorContains(t, err, want, "%q", text)
		require.NotContains(t, err.Error(), "4477009", text)
	}
	for _, nobody := range []string{
		"", "\n\n", "\ufeff", "phone\n", "phone,name\n", ",,\n", "[]", "{}",
		`{"recipients": []}`, `{"Recipients": ["447700900101"]}`,
	} {
		got, err := parseRecipients([]byte(nobody))
		require.NoError(t, err, nobody)
		require.Empty(t, got, nobody)
	}
}

// FuzzRecipients checks that parseRecipients returns only numbers that Sinch accepts, whatever the file.
func FuzzRecipients(f *testing.F) {
	f.Add([]byte("phone\n447700900101\n"))
	f.Add([]byte("\"a\"\";b\n=\"1\";'2"))
	f.Add([]byte(`{"recipients": [1, "2", {}]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := parseRecipients(content)
		if err != nil {
			require.Empty(t, got)
		}
		for _, number := range got {
			require.Empty(t, strings.Trim(number, "0123456789"))
			require.GreaterOrEqual(t, len(number), 7)
			require.LessOrEqual(t, len(number), 15)
		}
	})
}
