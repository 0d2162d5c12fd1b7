package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
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
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printRaw writes a document as it came, without the spaces between its members.
func printRaw(w io.Writer, document []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, document); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := line.WriteTo(w)
	return err
}
