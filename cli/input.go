package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxInput limits an input in bytes. It exceeds the largest batch: a thousand recipients with parameters of their
// own.
const maxInput = 16 << 20

// readInput reads the file with this name, or in if the name is "-". It returns an error for more than maxInput
// bytes.
func readInput(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		return readFile(name)
	}
	return readAll(in, "standard input")
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file", name)
	case err != nil:
		return nil, err
	}
	defer f.Close()
	return readAll(f, name)
}

func readAll(in io.Reader, name string) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(content) > maxInput {
		err = fmt.Errorf("%s is larger than %d MiB", name, maxInput>>20)
	}
	return content, err
}
