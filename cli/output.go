package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
)

// jsonFlag adds --json to a command. usage must be jsonOne or jsonList. Cobra sets the result when it parses the flag.
func jsonFlag(c *cobra.Command, usage string) *bool {
	return c.Flags().Bool("json", false, usage)
}

const (
	jsonOne  = "print the answer as one JSON document"
	jsonList = "print JSON, one document a line (NDJSON)"
)

// printJSON writes v as one line of JSON. It does not escape <, > and &, which encoding/json would escape for HTML.
func printJSON(w io.Writer, v any) error {
	var document bytes.Buffer
	e := json.NewEncoder(&document)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return printRaw(w, document.Bytes()) // raw JSON from Sinch may repeat a member
}

// printRaw writes a JSON document as one line, without white space. Of members with equal names it keeps the last.
func printRaw(w io.Writer, document []byte) error {
	line, err := dlr.Unique(document)
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
