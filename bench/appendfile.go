package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dlrloop/dlrloop/store"
)

// nothing keeps nothing.
type nothing struct{ store.Store }

func (nothing) Record(context.Context, store.Arrival) error { return nil }

// flatSize is the size of the flat file. It is written in a circle: what was in it is never read.
const flatSize = 64 << 20

// flat appends bodies to one file that was written to its full size before, a group with one write and one sync. It is the
// least that making them durable can cost, and nothing can be found in it.
type flat struct {
	store.Store
	file      *os.File
	offset    int
	buf       []byte
	committer *store.Committer[[]byte]
}

func newFlat(folder string) (*flat, error) {
	file, err := os.Create(filepath.Join(folder, "flat"))
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range flatSize / len(zeros) {
		if _, err := file.Write(zeros); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	f := &flat{file: file}
	f.committer = store.NewCommitter(store.CommitterConfig{}, func(body []byte) int { return len(body) }, f.commit)
	return f, nil
}

// Record makes a report's body durable.
func (f *flat) Record(ctx context.Context, a store.Arrival) error {
	r, ok := a.News.(store.Report)
	if !ok {
		return fmt.Errorf("record: %T is no report", a.News)
	}
	return f.committer.Record(ctx, r.Raw)
}

func (f *flat) commit(group [][]byte, results []error) {
	f.buf = f.buf[:0]
	for _, body := range group {
		f.buf = append(f.buf, body...)
	}
	if err := f.write(); err != nil {
		for i := range results {
			results[i] = err
		}
	}
}

func (f *flat) write() error {
	if f.offset+len(f.buf) > flatSize {
		f.offset = 0
	}
	if _, err := f.file.WriteAt(f.buf, int64(f.offset)); err != nil {
		return err
	}
	f.offset += len(f.buf)
	return os.NewSyscallError("fdatasync", unix.Fdatasync(int(f.file.Fd())))
}

func (f *flat) Close() error {
	f.committer.Close()
	return f.file.Close()
}
