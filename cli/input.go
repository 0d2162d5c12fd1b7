package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxInput is the maximum size in bytes of a file or of standard input; more is an error. A file with a batch for 1000
// recipients, Sinch's maximum, is smaller.
const maxInput = 16 << 20

// readInput reads the named file, or stdin if the name is "-". Content of more than maxInput bytes is an error.
func readInput(name string, stdin io.Reader) ([]byte, error) {
	if name != "-" {
		return readFile(name)
	}
	return readAll(stdin, "standard input")
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
