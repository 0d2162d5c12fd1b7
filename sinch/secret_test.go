package sinch

import (
	"bytes"
	"fmt"
	"log/slog"
)

// printed is c in the ways that a program prints a value.
func printed(c Config) []string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "token", c.Token, "config", c)
	return []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %q %v", c.Token, c.Token, c.Token),
		log.String(),
	}
}
