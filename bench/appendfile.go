package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/commit"
)

// discardStore is a store that accepts every report and discards it. With it, the benchmark measures the webhook
// without storage.
type discardStore struct{}

func (discardStore) Record(context.Context, store.Arrival) error { return nil }

// fileSize is the size in bytes of the file to which a fileStore writes. When the file is full, the fileStore continues
// at the beginning of the file and overwrites the oldest reports.
const fileSize = 64 << 20

// fileStore is a store that only writes the bodies of reports to one file, and never reads them. Reports that arrive at
// the same time share one write and one sync to disk. With it, the benchmark measures how many reports per second the
// disk can store.
type fileStore struct {
	file      *os.File
	offset    int
	buf       []byte
	committer *commit.Committer[[]byte]
}

func newFileStore(dir string) (*fileStore, error) {
	file, err := os.Create(filepath.Join(dir, "reports"))
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for range fileSize / len(zeros) {
		if _, err := file.Write(zeros); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	f := &fileStore{file: file}
	f.committer = commit.New(commit.Config{}, func(body []byte) int { return len(body) }, f.commit)
	return f, nil
}

// Record writes the body of a report to the file and blocks until it is on disk. a.Entry must be a report: for any
// other entry, such as a batch info, Record returns an error.
func (f *fileStore) Record(ctx context.Context, a store.Arrival) error {
	r, ok := a.Entry.(store.Report)
	if !ok {
		return fmt.Errorf("record: %T is not a report", a.Entry)
	}
	return f.committer.Record(ctx, r.Raw)
}

func (f *fileStore) commit(group [][]byte, results []error) {
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

func (f *fileStore) write() error {
	if f.offset+len(f.buf) > fileSize {
		f.offset = 0
	}
	if _, err := f.file.WriteAt(f.buf, int64(f.offset)); err != nil {
		return err
	}
	f.offset += len(f.buf)
	return os.NewSyscallError("fdatasync", unix.Fdatasync(int(f.file.Fd())))
}

func (f *fileStore) Close() error {
	f.committer.Close()
	return f.file.Close()
}
