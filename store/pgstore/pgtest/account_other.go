//go:build !unix

package pgtest

import (
	"fmt"
	"syscall"
)

// account is the operating system user that PostgreSQL runs as. On this system there is none: newAccount always fails.
type account struct{}

func newAccount() (account, error) {
	return account{}, fmt.Errorf("%w: a throwaway server requires Unix; "+
		"set %s to the URL of a server on which databases may be created",
		ErrNotFound, URLVariable)
}

func (account) chown(string) error { return nil }

func (account) attributes() *syscall.SysProcAttr { return nil }

func ownGroup() *syscall.SysProcAttr { return nil }

const immediateShutdown = syscall.SIGKILL
