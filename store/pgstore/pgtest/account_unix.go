//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the operating system user that PostgreSQL runs as: not root, because PostgreSQL refuses to run as root.
type account struct {
	credential *syscall.Credential // nil for the user of this process
}

// newAccount returns the user of this process. For root, it returns the user postgres or, if there is none, nobody.
func newAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		if found, err = user.Lookup("nobody"); err != nil {
			return account{}, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user "+
				"postgres or nobody to run it as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return account{}, err
	}
	return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (a account) chown(dir string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(dir, int(a.credential.Uid), int(a.credential.Gid))
}

// attributes returns the attributes of a new process that runs as the account. The process has a process group of its
// own, so that an interrupt from the terminal reaches only the test.
func (a account) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential, Setpgid: true}
}

// ownGroup returns the attributes of a new process that runs as the current user, in a process group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// immediateShutdown is the signal that makes a PostgreSQL server exit at once, without a checkpoint.
const immediateShutdown = syscall.SIGQUIT
