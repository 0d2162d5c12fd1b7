package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
)

// jsonFlag adds --json to a command: of one thing a document, of a list one document a line.
func jsonFlag(c *cobra.Command, usage string) *bool {
	return c.Flags().Bool("json", false, usage)
}

const (
	jsonOne  = "print the answer as one JSON document"
	jsonList = "print JSON, one document a line (NDJSON)"
)

// printJSON writes one document on one line. Phone numbers and texts stay as they are, without \u escapes for HTML.
func printJSON(w io.Writer, v any) error {
	var document bytes.Buffer
	e := json.NewEncoder(&document)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return printRaw(w, document.Bytes()) // what is passed on from Sinch may have a member twice
}

// printRaw writes a document as it came, without the spaces between its members, and each member once.
func printRaw(w io.Writer, document []byte) error {
	line, err := dlr.Unique(document)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
