package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/dlrloop/dlrloop/dlr"
)

// numberTable holds the nonempty rows of a file with phone numbers. heading.cells is nil if the file has no heading.
type numberTable struct {
	heading numberRow
	rows    []numberRow
}

// numberRow is a row of a numberTable, with its line number in the file, counted from 1.
type numberRow struct {
	line  int
	cells []string
}

// parseNumberTable splits the text of a file into rows of cells, at commas, semicolons or tabs. It leaves out empty
// rows. If the first row is a heading such as "phone", it becomes t.heading.
func parseNumberTable(text string) (t numberTable, err error) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	skipped := 0
	delimiter := delimiterOf(text)
	if first, rest, _ := strings.Cut(text, "\n"); len(first) == 5 && strings.HasPrefix(strings.ToLower(first), "sep=") {
		delimiter, text, skipped = rune(first[4]), rest, 1
	}
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.LazyQuotes, r.FieldsPerRecord = delimiter, true, -1
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return t, err
		}
		line, _ := r.FieldPos(0)
		for i := range cells {
			cells[i] = strings.TrimFunc(cells[i], isBlank)
		}
		if strings.Join(cells, "") != "" {
			t.rows = append(t.rows, numberRow{line + skipped, cells})
		}
	}
	if len(t.rows) > 0 && isHeading(t.rows[0].cells) {
		t.heading, t.rows = t.rows[0], t.rows[1:]
	}
	return t, nil
}

// delimiterOf returns the delimiter (tab, semicolon or comma) that occurs in the most lines, or a comma if none occurs.
func delimiterOf(text string) rune {
	best, most := ',', 0
	for _, delimiter := range "\t;," {
		lines := 0
		for line := range strings.SplitSeq(text, "\n") {
			if strings.ContainsRune(strings.TrimSpace(line), delimiter) {
				lines++
			}
		}
		if lines > most {
			best, most = delimiter, lines
		}
	}
	return best
}

// isHeading reports whether the first row of a table is a heading: at least one cell is a title such as "phone", and no
// cell is a phone number. It is strict, because a heading is skipped without an error.
func isHeading(cells []string) bool {
	return !slices.ContainsFunc(cells, isLikeNumber) && slices.ContainsFunc(cells, isNumberHeading)
}

// isLikeNumber reports whether a cell of a table is meant to be a phone number. It also returns true for numbers that
// numberOf rejects, for example because they are national or were rounded by a spreadsheet.
func isLikeNumber(cell string) bool {
	_, err := numberOf(cell, shortestNumber)
	return err == nil || err == errRounded || err == errNational || err == errTrunk || err == errZero
}

// recipients returns the digits of the phone numbers in all rows, in order and with duplicates. An error names the line
// of the first invalid row.
func (t numberTable) recipients() ([]string, error) {
	if err := t.refuseStatuses(); err != nil {
		return nil, err
	}
	if len(t.rows) == 1 && t.heading.cells == nil { // all numbers in one line
		t.rows = split(t.rows[0])
	}
	if err := t.refuseLongRows(); err != nil {
		return nil, err
	}
	column, err := t.column()
	if err != nil {
		return nil, err
	}
	var numbers []string
	for i, row := range t.rows {
		number, err := numberOf(row.cell(column), shortestNumber)
		if err == errNotNumber && i == 0 && t.heading.cells == nil {
			err = errFirst
		}
		if err != nil && t.width() > 1 {
			err = err.in(column)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %w", row.line, err)
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// refuseLongRows returns an error if a row has more cells than the heading, for example because of a comma in a number.
// It returns nil if there is no heading.
func (t numberTable) refuseLongRows() error {
	if t.heading.cells == nil {
		return nil
	}
	width := filledWidth(t.heading.cells)
	for _, row := range t.rows {
		if filledWidth(row.cells) > width {
			return fmt.Errorf("line %d has more cells than the heading: column %d has no heading; put quotation marks around "+
				"a cell that contains a delimiter, and write numbers without delimiters", row.line, width+1)
		}
	}
	return nil
}

// filledWidth returns the number of cells in a row, not counting empty cells at its end.
func filledWidth(cells []string) int {
	width := len(cells)
	for width > 0 && cells[width-1] == "" {
		width--
	}
	return width
}

// split returns one row for each nonempty cell of the given row. It is for files with all numbers in one line.
func split(row numberRow) (rows []numberRow) {
	for _, cell := range row.cells {
		if cell != "" {
			rows = append(rows, numberRow{row.line, []string{cell}})
		}
	}
	return rows
}

func (r numberRow) cell(column int) string {
	if column >= len(r.cells) {
		return ""
	}
	return r.cells[column]
}

// column returns the index of the column that holds the phone numbers, found by its heading or its cells. It returns an
// error if several columns may hold them, or none.
func (t numberTable) column() (int, error) {
	var filled, named, numeric []int
	for column := range t.width() {
		cells := t.cells(column)
		if !slices.ContainsFunc(cells, func(c string) bool { return c != "" }) && t.heading.cell(column) == "" {
			continue
		}
		filled = append(filled, column)
		if isNumberHeading(t.heading.cell(column)) {
			named = append(named, column)
		}
		if !slices.ContainsFunc(cells, func(c string) bool { return !isLikeNumber(c) }) {
			numeric = append(numeric, column)
		}
	}
	if len(numeric) > 1 {
		named = slices.DeleteFunc(named, func(column int) bool { return isGeneric(t.heading.cell(column)) })
	}
	for _, columns := range [][]int{filled, named, numeric} {
		if len(columns) == 1 {
			return columns[0], nil
		}
	}
	if len(filled) == 0 {
		return 0, nil
	}
	return 0, fmt.Errorf("line %d has several columns, and several or none may hold phone numbers; "+
		"keep only that column, or write the heading phone above it", t.line())
}

// isNumberHeading reports whether a heading means phone numbers, such as "Phone 1 (E.164)".
func isNumberHeading(heading string) bool {
	word, _, _ := strings.Cut(heading, "(")
	return slices.Contains(numberHeadings(), letters(word)) || isGeneric(heading)
}

// isGeneric reports whether a heading such as "number" may also mean other numbers, for example order numbers.
func isGeneric(heading string) bool {
	return slices.Contains([]string{"number", "numbers", "nummer", "numero", "número", "numéro"}, letters(heading))
}

func numberHeadings() []string {
	return []string{
		"phone", "phones", "phonenumber", "phonenumbers", "phoneno", "msisdn", "msisdns", "recipient", "recipients",
		"recipientnumber", "mobile",
		"mobiles", "mobilenumber", "mobileno", "mobilephone", "mobilephonenumber", "to", "tonumber", "telephone",
		"telephonenumber", "tel",
		"cell",
		"cellphone", "cellnumber", "cellphonenumber", "contactnumber", "destination", "destinationnumber", "customerphone",
		"telefon",
		"telefonnummer", "telefonnr", "rufnummer", "handy", "handynummer", "mobil", "mobilnummer", "mobiltelefon",
		"mobilnr", "empfänger",
		"mottagare", "mobiltelefonnummer", "téléphone", "telefono", "teléfono", "telefone", "telefoon", "telefoonnummer",
		"portable", "móvil",
		"movil", "celular", "cellulare", "destinataire", "destinatario",
	}
}

func (t numberTable) width() int {
	width := len(t.heading.cells)
	for _, row := range t.rows {
		width = max(width, len(row.cells))
	}
	return width
}

func (t numberTable) cells(column int) []string {
	cells := make([]string, len(t.rows))
	for i, row := range t.rows {
		cells[i] = row.cell(column)
	}
	return cells
}

// line returns the number of the line in the file, counted from 1, where the table begins: with its heading, or else
// with its first row.
func (t numberTable) line() int {
	if t.heading.cells != nil || len(t.rows) == 0 {
		return t.heading.line
	}
	return t.rows[0].line
}

// letters returns the letters of a heading in lower case, without digits, spaces and punctuation.
func letters(heading string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// refuseStatuses returns an error if the table has delivery statuses. Such a table also lists recipients that did not
// receive the batch, so it must not be used to confirm delivery.
func (t numberTable) refuseStatuses() error {
	line := 0
	isResult := func(cell string) bool {
		return slices.Contains([]string{"status", "state", "result", "deliverystatus", "delivered"}, letters(cell))
	}
	isStatus := func(cell string) bool {
		return slices.ContainsFunc(dlr.Statuses(), func(s dlr.Status) bool { return strings.EqualFold(string(s), cell) })
	}
	if slices.ContainsFunc(t.heading.cells, isResult) {
		line = t.heading.line
	}
	for _, row := range t.rows {
		if line == 0 && slices.ContainsFunc(row.cells, isStatus) {
			line = row.line
		}
	}
	if line > 0 {
		return fmt.Errorf("line %d holds delivery statuses; keep only the numbers of those who received the batch", line)
	}
	return nil
}
