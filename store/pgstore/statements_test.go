package pgstore_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// slotted are the tables whose rows have a slot.
var slotted = []string{"batch", "recipient", "report_log", "minute_count", "total", "message_total", "quarantine"}

// global are the reads that are over all slots as they are: sums and sizes, by how they begin.
var global = []string{
	"SELECT plan, sum(batches)::bigint, ",
	"SELECT plan, status, class, sum(messages)::bigint FROM message_total ",
	"SELECT plan, sum(pending_tasks)::bigint, ",
	"SELECT count(*) FROM quarantine",
}

// faults are what a dialect does not allow in a statement.
func faults(statement string, d pgstore.Dialect) (faults []string) {
	if slices.ContainsFunc(global, func(begin string) bool { return strings.HasPrefix(strings.TrimSpace(statement), begin) }) {
		return nil
	}
	for what, dialects := range map[string][]pgstore.Dialect{
		`SKIP\s+LOCKED`:              {pgstore.Portable},
		`\([^()]*FOR\s+UPDATE`:       {pgstore.Portable},
		`generate_series`:            {pgstore.Citus, pgstore.Portable},
		`LATERAL`:                    {pgstore.Citus, pgstore.Portable},
		`advisory|LISTEN|NOTIFY`:     {pgstore.Postgres, pgstore.Citus, pgstore.Portable},
		`nextval|SERIAL|\bIDENTITY`:  {pgstore.Postgres, pgstore.Citus, pgstore.Portable},
		`\bnow\(|current_timestamp`:  {pgstore.Postgres, pgstore.Citus, pgstore.Portable},
		`pg_current_xact_id|pg_xact`: {pgstore.Citus, pgstore.Portable},
	} {
		if slices.Contains(dialects, d) && regexp.MustCompile(`(?i)`+what).MatchString(statement) {
			faults = append(faults, "it says "+what)
		}
	}
	p := parser{tokens: tokens.FindAllString(statement, -1), plain: d != pgstore.Postgres}
	p.level()
	return append(faults, p.faults...)
}

// tokens are names, parameters, quoted texts and signs.
var tokens = regexp.MustCompile(`'[^']*'|\$\d+|[A-Za-z_]\w*|\d+|<=|>=|<>|::|[^\s\w]`)

// parser finds for each table with a slot the condition on it. It knows as much of SQL as the statements need, and has no mercy with
// what it does not know: a condition counts only beside AND, in the query that names the table.
type parser struct {
	tokens []string
	at     int
	plain  bool // a slot has to be a parameter
	faults []string
}

// query is one SELECT, INSERT, UPDATE or DELETE, without those within.
type query struct {
	tables     map[string]string // by alias: tables with a slot
	rows       []string          // aliases of what else has a slot: rows of an unnest, or of a query within
	conditions map[string]string // by the side before the dot: what its slot is
	either     bool              // there is an OR beside the conditions
}

func newQuery() *query {
	return &query{tables: make(map[string]string), conditions: make(map[string]string)}
}

func (p *parser) peek(ahead int) string {
	if p.at+ahead < 0 || p.at+ahead >= len(p.tokens) {
		return ""
	}
	return p.tokens[p.at+ahead]
}

func (p *parser) is(ahead int, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(p.peek(ahead), w) })
}

// level reads up to the end of the parentheses.
func (p *parser) level() {
	q := newQuery()
	for ; p.at < len(p.tokens); p.at++ {
		switch {
		case p.is(0, ")"):
			p.judge(q)
			return
		case p.is(0, "("):
			p.at++
			p.level()
		case p.is(0, "UNION"):
			p.judge(q)
			q = newQuery()
		case p.is(0, "INTO") && slices.Contains(slotted, p.peek(1)):
			if p.peek(2) != "(" || p.peek(3) != "slot" {
				p.fault("%s: the slot is not the first column", p.peek(1))
			}
			p.at++
		case p.is(0, "CONFLICT") && (p.peek(1) != "(" || p.peek(2) != "slot" && p.peek(2) != "id" && p.peek(2) != "token" && p.peek(2) != "name"):
			p.fault("ON CONFLICT does not name the slot")
		case p.is(0, "FROM", "JOIN", "USING"), p.is(0, "UPDATE") && p.is(1, slotted...) && !p.is(-1, "DO", "FOR"):
			p.source(q)
		case p.is(0, "OR"):
			q.either = true
		case p.is(0, "slot") && p.peek(1) == "=":
			p.condition(q)
		}
	}
	p.judge(q)
}

// source reads what stands after FROM, JOIN, USING or UPDATE, with its alias.
func (p *parser) source(q *query) {
	p.at++
	if p.is(0, "ONLY", "LATERAL") {
		p.at++
	}
	table, within := p.peek(0), p.peek(0) == "("
	function := p.peek(1) == "(" && !within
	if function {
		p.at++
	}
	if within || function {
		p.at++
		p.level()
	}
	for p.is(1, "WITH", "ORDINALITY", "AS") {
		p.at++
	}
	alias := table
	if name := p.peek(1); name != "" && regexp.MustCompile(`^[a-z]\w*$`).MatchString(name) {
		alias = name
		p.at++
	}
	switch {
	case function && p.peek(1) == "(":
		if p.peek(2) == "slot" {
			q.rows = append(q.rows, alias)
		}
		p.at += 2
		p.level()
	case within:
		q.rows = append(q.rows, alias)
	case slices.Contains(slotted, table):
		q.tables[alias] = table
	}
}

// condition notes what a slot is said to be.
func (p *parser) condition(q *query) {
	of := ""
	if p.peek(-1) == "." {
		of = p.peek(-2)
	}
	value := p.peek(2)
	if p.peek(3) == "." {
		value += "." + p.peek(4)
	}
	q.conditions[of] = value
}

// judge finds fault with tables whose slot is not said, or not well.
func (p *parser) judge(q *query) {
	for alias, table := range q.tables {
		value, said := q.conditions[alias]
		if !said && len(q.tables) == 1 {
			value, said = q.conditions[""]
		}
		of, _, _ := strings.Cut(value, ".")
		switch {
		case !said:
			p.fault("%s: its slot is not said", table)
		case q.either:
			p.fault("%s: its slot is said beside an OR", table)
		case strings.HasPrefix(value, "$"):
		case p.plain:
			p.fault("%s: its slot is %s, not a parameter", table, value)
		case value == "s.n", slices.Contains(q.rows, of) && strings.HasSuffix(value, ".slot"):
		default:
			p.fault("%s: its slot is %s", table, value)
		}
	}
}

func (p *parser) fault(format string, arguments ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, arguments...))
}

// checkStatements finds fault with what a store sent.
func checkStatements(t *testing.T, w *wire, d pgstore.Dialect) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for statement := range w.sent {
		assert.Empty(t, faults(statement, d), statement)
	}
	if d != pgstore.Postgres {
		assert.Empty(t, w.straying, "a transaction stays in its slot")
	}
}

func TestBadStatementsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		dialect   pgstore.Dialect
		statement string
		fault     string
	}{
		"no slot":          {pgstore.Postgres, `SELECT row FROM batch WHERE plan = $1`, "batch: its slot is not said"},
		"not all slots":    {pgstore.Postgres, `SELECT 1 FROM batch b JOIN recipient r ON r.plan = b.plan WHERE b.slot = $1`, "recipient: its slot is not said"},
		"another's slot":   {pgstore.Postgres, `SELECT 1 FROM batch b JOIN recipient r ON r.slot = x.slot WHERE b.slot = $1`, "recipient: its slot is x.slot"},
		"a slot of none":   {pgstore.Postgres, `SELECT 1 FROM batch b JOIN recipient r ON r.plan = b.plan WHERE slot = $1`, "recipient: its slot is not said"},
		"its own slot":     {pgstore.Postgres, `SELECT 1 FROM batch b WHERE b.slot = b.slot`, "batch: its slot is b.slot"},
		"a slot of many":   {pgstore.Postgres, `SELECT row FROM batch WHERE slot = $1 OR plan = $2`, "batch: its slot is said beside an OR"},
		"outside":          {pgstore.Postgres, `SELECT 1 FROM (SELECT slot FROM batch WHERE plan = $2) b WHERE slot = $1`, "batch: its slot is not said"},
		"an update":        {pgstore.Postgres, `UPDATE batch b SET due = $1 FROM unnest($2::text[]) AS k (plan) WHERE b.plan = k.plan`, "batch: its slot is not said"},
		"a delete":         {pgstore.Postgres, `DELETE FROM recipient USING unnest($1::text[]) AS k (plan) WHERE recipient.plan = k.plan`, "recipient: its slot is not said"},
		"an insert":        {pgstore.Postgres, `INSERT INTO total (plan, slot) VALUES ($1, $2)`, "total: the slot is not the first column"},
		"a conflict":       {pgstore.Postgres, `INSERT INTO total (slot, plan) VALUES ($1, $2) ON CONFLICT (plan) DO NOTHING`, "ON CONFLICT does not name the slot"},
		"a union":          {pgstore.Postgres, `SELECT 1 FROM batch WHERE slot = $1 UNION ALL SELECT 1 FROM batch`, "batch: its slot is not said"},
		"rows of an array": {pgstore.Citus, `SELECT 1 FROM unnest($1::smallint[]) AS k (slot) JOIN batch b ON b.slot = k.slot`, "batch: its slot is k.slot, not a parameter"},
		"a series":         {pgstore.Citus, `SELECT 1 FROM generate_series(0, 31) AS s (n)`, "it says generate_series"},
		"lateral":          {pgstore.Citus, `SELECT 1 FROM meta CROSS JOIN LATERAL (SELECT 1) x`, "it says LATERAL"},
		"skip locked":      {pgstore.Portable, `SELECT 1 FROM batch WHERE slot = $1 FOR UPDATE SKIP LOCKED`, `it says SKIP\s+LOCKED`},
		"locked within":    {pgstore.Portable, `SELECT 1 FROM (SELECT 1 FROM batch WHERE slot = $1 FOR UPDATE) b`, `it says \([^()]*FOR\s+UPDATE`},
		"advisory lock":    {pgstore.Postgres, `SELECT pg_advisory_lock($1)`, `it says advisory|LISTEN|NOTIFY`},
		"notify":           {pgstore.Postgres, `NOTIFY tasks`, `it says advisory|LISTEN|NOTIFY`},
		"sequence":         {pgstore.Postgres, `SELECT nextval('id')`, `it says nextval|SERIAL|\bIDENTITY`},
		"the clock":        {pgstore.Postgres, `SELECT now()`, `it says \bnow\(|current_timestamp`},
	} {
		t.Run(name, func(t *testing.T) { assert.Contains(t, faults(c.statement, c.dialect), c.fault) })
	}
}
