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

// planTables are tables whose rows have a slot and a plan.
var planTables = []string{"batch", "recipient", "report_log", "minute_count", "total", "message_total", "quarantine"}

// slotTables are the tables whose rows have a slot.
var slotTables = append([]string{"inbound", "event_log"}, planTables...)

// allSlotReads are the beginnings of the reads that may cover all slots in one statement with every dialect: sums and
// sizes.
var allSlotReads = []string{
	"SELECT plan, sum(batches)::bigint, ",
	"SELECT plan, status, class, sum(messages)::bigint FROM message_total ",
	"SELECT plan, sum(pending_tasks)::bigint, ",
	"SELECT count(*) FROM quarantine",
}

// violations returns what a dialect does not allow in a statement.
func violations(statement string, d pgstore.Dialect) (found []string) {
	begins := func(begin string) bool { return strings.HasPrefix(strings.TrimSpace(statement), begin) }
	if slices.ContainsFunc(allSlotReads, begins) {
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
			found = append(found, "forbidden: "+what)
		}
	}
	p := parser{tokens: tokens.FindAllString(statement, -1), plain: d != pgstore.Postgres}
	p.level()
	return append(found, p.violations...)
}

// tokens matches names, parameters, string literals and punctuation.
var tokens = regexp.MustCompile(`'[^']*'|\$\d+|[A-Za-z_]\w*|\d+|<=|>=|<>|::|[^\s\w]`)

// parser finds the condition on the slot of each table. It understands only the SQL that the store uses and rejects
// the rest: a condition counts only if it is combined by AND, in the query that names the table.
type parser struct {
	tokens     []string
	at         int
	plain      bool     // the slot must be a parameter
	outer      []string // query.rows of the queries around the present one
	violations []string
}

// query is one SELECT, INSERT, UPDATE or DELETE, without its subqueries.
type query struct {
	tables     map[string]string // the tables with a slot, by alias
	rows       []string          // aliases of other sources with a slot: unnest or a subquery
	conditions map[string]string // what the slot is compared with, by alias
	hasOr      bool              // there is an OR in the condition
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

// level parses up to the closing parenthesis.
func (p *parser) level() {
	q := newQuery()
	for ; p.at < len(p.tokens); p.at++ {
		switch {
		case p.is(0, ")"):
			p.checkSlots(q)
			return
		case p.is(0, "("):
			p.at++
			around := p.outer
			p.outer = slices.Concat(around, q.rows)
			p.level()
			p.outer = around
		case p.is(0, "UNION"):
			p.checkSlots(q)
			q = newQuery()
		case p.is(0, "INTO") && slices.Contains(slotTables, p.peek(1)):
			if p.peek(2) != "(" || p.peek(3) != "slot" {
				p.violation("%s: the slot is not the first column", p.peek(1))
			}
			p.at++
		case p.is(0, "CONFLICT") && (p.peek(1) != "(" || !p.is(2, "slot", "id", "token", "name")):
			p.violation("ON CONFLICT does not name the slot")
		case p.is(0, "FROM", "JOIN", "USING"), p.is(0, "UPDATE") && p.is(1, slotTables...) && !p.is(-1, "DO", "FOR"):
			p.source(q)
		case p.is(0, "OR"):
			q.hasOr = true
		case p.is(0, "slot") && p.peek(1) == "=":
			p.condition(q)
		}
	}
	p.checkSlots(q)
}

// source parses the table after FROM, JOIN, USING or UPDATE, and its alias.
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
	case slices.Contains(slotTables, table):
		q.tables[alias] = table
	}
}

// condition records a condition on a slot.
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

// checkSlots reports the tables whose slot has no condition or a wrong one.
func (p *parser) checkSlots(q *query) {
	for alias, table := range q.tables {
		value, said := q.conditions[alias]
		if !said && len(q.tables) == 1 {
			value, said = q.conditions[""]
		}
		of, _, _ := strings.Cut(value, ".")
		switch {
		case !said:
			p.violation("%s: no condition on its slot", table)
		case q.hasOr:
			p.violation("%s: the condition on its slot is part of an OR", table)
		case strings.HasPrefix(value, "$"):
		case p.plain:
			p.violation("%s: its slot is %s, not a parameter", table, value)
		case value == "s.n", slices.Contains(slices.Concat(p.outer, q.rows), of) && strings.HasSuffix(value, ".slot"):
		default:
			p.violation("%s: its slot is %s", table, value)
		}
	}
}

func (p *parser) violation(format string, arguments ...any) {
	p.violations = append(p.violations, fmt.Sprintf(format, arguments...))
}

// checkStatements fails the test if a statement that the store sent violates the rules of the dialect.
func checkStatements(t *testing.T, w *recorder, d pgstore.Dialect) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for statement := range w.sent {
		assert.Empty(t, violations(statement, d), statement)
	}
	if d != pgstore.Postgres {
		assert.Empty(t, w.crossSlot, "statements left the slot of their transaction")
	}
}

func TestCheckerFindsViolations(t *testing.T) {
	for name, c := range map[string]struct {
		dialect   pgstore.Dialect
		statement string
		violation string
	}{
		"no slot": {
			pgstore.Postgres,
			`SELECT row FROM batch WHERE plan = $1`,
			"batch: no condition on its slot",
		},
		"one table without slot": {
			pgstore.Postgres,
			`SELECT 1 FROM batch b JOIN recipient r ON r.plan = b.plan WHERE b.slot = $1`,
			"recipient: no condition on its slot",
		},
		"slot of another row": {
			pgstore.Postgres,
			`SELECT 1 FROM batch b JOIN recipient r ON r.slot = x.slot WHERE b.slot = $1`,
			"recipient: its slot is x.slot",
		},
		"slot without alias": {
			pgstore.Postgres,
			`SELECT 1 FROM batch b JOIN recipient r ON r.plan = b.plan WHERE slot = $1`,
			"recipient: no condition on its slot",
		},
		"compared with itself": {
			pgstore.Postgres,
			`SELECT 1 FROM batch b WHERE b.slot = b.slot`,
			"batch: its slot is b.slot",
		},
		"part of an OR": {
			pgstore.Postgres,
			`SELECT row FROM batch WHERE slot = $1 OR plan = $2`,
			"batch: the condition on its slot is part of an OR",
		},
		"outside the subquery": {
			pgstore.Postgres,
			`SELECT 1 FROM (SELECT slot FROM batch WHERE plan = $2) b WHERE slot = $1`,
			"batch: no condition on its slot",
		},
		"update": {
			pgstore.Postgres,
			`UPDATE batch b SET due = $1 FROM unnest($2::text[]) AS k (plan) WHERE b.plan = k.plan`,
			"batch: no condition on its slot",
		},
		"delete": {
			pgstore.Postgres,
			`DELETE FROM recipient USING unnest($1::text[]) AS k (plan) WHERE recipient.plan = k.plan`,
			"recipient: no condition on its slot",
		},
		"insert": {
			pgstore.Postgres,
			`INSERT INTO total (plan, slot) VALUES ($1, $2)`,
			"total: the slot is not the first column",
		},
		"conflict": {
			pgstore.Postgres,
			`INSERT INTO total (slot, plan) VALUES ($1, $2) ON CONFLICT (plan) DO NOTHING`,
			"ON CONFLICT does not name the slot",
		},
		"union": {
			pgstore.Postgres,
			`SELECT 1 FROM batch WHERE slot = $1 UNION ALL SELECT 1 FROM batch`,
			"batch: no condition on its slot",
		},
		"slot from unnest": {
			pgstore.Citus,
			`SELECT 1 FROM unnest($1::smallint[]) AS k (slot) JOIN batch b ON b.slot = k.slot`,
			"batch: its slot is k.slot, not a parameter",
		},
		"generate_series": {
			pgstore.Citus,
			`SELECT 1 FROM generate_series(0, 31) AS s (n)`,
			"forbidden: generate_series",
		},
		"lateral": {
			pgstore.Citus,
			`SELECT 1 FROM meta CROSS JOIN LATERAL (SELECT 1) x`,
			"forbidden: LATERAL",
		},
		"skip locked": {
			pgstore.Portable,
			`SELECT 1 FROM batch WHERE slot = $1 FOR UPDATE SKIP LOCKED`,
			`forbidden: SKIP\s+LOCKED`,
		},
		"locking subquery": {
			pgstore.Portable,
			`SELECT 1 FROM (SELECT 1 FROM batch WHERE slot = $1 FOR UPDATE) b`,
			`forbidden: \([^()]*FOR\s+UPDATE`,
		},
		"advisory lock": {
			pgstore.Postgres,
			`SELECT pg_advisory_lock($1)`,
			`forbidden: advisory|LISTEN|NOTIFY`,
		},
		"notify": {
			pgstore.Postgres,
			`NOTIFY tasks`,
			`forbidden: advisory|LISTEN|NOTIFY`,
		},
		"sequence": {
			pgstore.Postgres,
			`SELECT nextval('id')`,
			`forbidden: nextval|SERIAL|\bIDENTITY`,
		},
		"clock": {
			pgstore.Postgres,
			`SELECT now()`,
			`forbidden: \bnow\(|current_timestamp`,
		},
	} {
		t.Run(name, func(t *testing.T) { assert.Contains(t, violations(c.statement, c.dialect), c.violation) })
	}
}
