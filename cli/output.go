package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
)

// jsonFlag adds --json to a command. usage is the text in the help, jsonOne or jsonList. Cobra sets the returned value
// when it parses the flag.
func jsonFlag(c *cobra.Command, usage string) *bool {
	return c.Flags().Bool("json", false, usage)
}

const (
	jsonOne  = "print the answer as one JSON document"
	jsonList = "print JSON, one document a line (NDJSON)"
)

// printJSON writes v as JSON on one line. Unlike json.Marshal, it does not replace <, > and & with escape sequences.
func printJSON(w io.Writer, v any) error {
	var document bytes.Buffer
	e := json.NewEncoder(&document)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return printRaw(w, document.Bytes()) // raw JSON from Sinch may repeat a member
}

// printRaw writes a JSON document on one line, without white space between values. If an object has several members
// with the same name, it writes only the last of them. It returns an error if document is not JSON.
func printRaw(w io.Writer, document []byte) error {
	line, err := dlr.Unique(document)
	if err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}
