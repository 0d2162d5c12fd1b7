package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// usage is a reading of what a PostgreSQL server has used since its start, such as processor time, and of the present
// size of one database. Method since returns the difference of two readings.
type usage struct {
	cpu            time.Duration // of all server processes
	wal            int64         // bytes written to the write-ahead log
	table, indexes int64         // size in bytes of the round's database
	connections    int           // open connections of dlrloop
}

// readUsage returns what the PostgreSQL server has used since its start, and the present size of the database at url.
// It connects to this database only during the call.
func (c *cluster) readUsage(ctx context.Context, url string) (u usage, err error) {
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	err = connection.QueryRow(ctx, `
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
    (SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace),
    (SELECT coalesce(sum(pg_indexes_size(oid)), 0)::bigint FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'dlrloop%')`).
		Scan(&u.wal, &u.table, &u.indexes, &u.connections)
	if err != nil {
		return u, err
	}
	u.cpu, err = processorTime(c.server.PID())
	return u, err
}

// since returns how much the server has used, and how much the database has grown, since an earlier reading of the same
// database. The number of connections is not subtracted: the result contains u.connections.
func (u usage) since(earlier usage) usage {
	return usage{
		u.cpu - earlier.cpu, u.wal - earlier.wal, u.table - earlier.table, u.indexes - earlier.indexes,
		u.connections,
	}
}

// tick is the unit of processor times in the files /proc/PID/stat of Linux.
const tick = 10 * time.Millisecond // the same on every Linux

// processorTime returns the processor time (user and system) used so far by the process with id pid and by its child
// processes, including those that have ended. It returns an error if there is no such process.
func processorTime(pid int) (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	found := false
	for _, file := range files {
		s, err := readStat(file)
		switch {
		case errors.Is(err, os.ErrNotExist): // the process has just ended
		case err != nil:
			return 0, err
		case s.pid == pid:
			ticks, found = ticks+s.own+s.ended, true
		case s.parent == pid:
			ticks += s.own
		}
	}
	if !found {
		return 0, fmt.Errorf("read the processor time of process %d: not in /proc", pid)
	}
	return time.Duration(ticks) * tick, nil
}

// stat holds the fields of a file /proc/PID/stat that processorTime needs: the ids of the process and of its parent,
// and processor times.
type stat struct {
	pid, parent int
	own, ended  int64 // processor time in ticks: of the process, and of its children that have ended
}

func readStat(file string) (s stat, err error) {
	line, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	// The name in between may contain any character.
	open, end := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return s, fmt.Errorf("%s: unexpected format", file)
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < 15 {
		return s, fmt.Errorf("%s: unexpected format", file)
	}
	var numbers [6]int64 // process, parent, user and system time, the same of ended children
	for i, field := range [][]byte{line[:open], fields[1], fields[11], fields[12], fields[13], fields[14]} {
		if numbers[i], err = strconv.ParseInt(string(field), 10, 64); err != nil {
			return s, fmt.Errorf("%s: unexpected format: %w", file, err)
		}
	}
	return stat{int(numbers[0]), int(numbers[1]), numbers[2] + numbers[3], numbers[4] + numbers[5]}, nil
}
