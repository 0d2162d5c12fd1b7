//go:build !unix

package pgtest

import (
	"fmt"
	"syscall"
)

// account is whom PostgreSQL runs as.
type account struct{}

func newAccount() (account, error) {
	return account{}, fmt.Errorf("%w: a throwaway server needs Unix; set %s to the URL of a server on which databases may be made",
		ErrNotFound, Variable)
}

func (account) own(string) error { return nil }

func (account) attributes() *syscall.SysProcAttr { return nil }

func apart() *syscall.SysProcAttr { return nil }

const immediately = syscall.SIGKILL
