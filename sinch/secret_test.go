package sinch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreNotPrinted(t *testing.T) {
	b, err := json.Marshal(Config{Plan: "p", Token: testToken, Project: Project{KeySecret: testToken}})
	require.NoError(t, err)
	require.NotContains(t, string(b), testToken)
	for _, s := range printed(Config{Token: testToken}) {
		require.NotContains(t, s, testToken)
	}
}

// printed returns c as the ways of printing a value show it.
func printed(c Config) []string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "token", c.Token, "config", c)
	return []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %q %v", c.Token, c.Token, c.Token),
		log.String(),
	}
}
