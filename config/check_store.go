package config

import (
	"regexp"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

func (l *loading) checkStore() {
	s := l.config.Store
	switch s.Driver {
	case DriverBolt:
		l.checkBolt(s)
	case DriverPostgres:
		l.checkPostgres(s)
	default:
		choose(l, "store.driver", s.Driver, DriverBolt, DriverPostgres)
	}
	l.checkRetention(s.Retention)
}

func (l *loading) checkBolt(s Store) {
	if s.Path == "" {
		l.missing("is empty; name the folder to keep everything in", "store.path")
	} else {
		l.checkFolder("store.path", s.Path)
	}
	key := "store.url"
	if s.URLFile != "" {
		key = "store.url_file"
	}
	if s.URL != "" || s.URLFile != "" {
		l.problem(key, "is set, but store.driver is bolt, which keeps everything in a folder; set driver: postgres, or leave the URL out")
	}
}

func (l *loading) checkPostgres(s Store) {
	choose(l, "store.dialect", s.Dialect, DialectPostgres, DialectCitus, DialectPortable)
	if s.URL == "" {
		if s.URLFile == "" { // else it is known that it cannot be read
			l.missing("is postgres, which needs to know the database; set url_file, or url", "store.driver", "store.url", "store.url_file")
		}
		return
	}
	key := "store.url"
	if s.URLFile != "" && !l.inEnvironment(key) {
		key = "store.url_file"
	}
	switch d, err := ReadDatabase(s.URL, l.environ); {
	case err != nil:
		l.problem(key, "%s", err)
	case !d.Verified():
		l.warn(key, "whoever is between here and the database can read or change everything; add sslmode=verify-full, and "+
			"sslrootcert=FILE where the database's certificate is not from a public authority")
	}
}

// checkRetention refuses to forget a batch while its feedback may still be tried, or is only just dead.
func (l *loading) checkRetention(kept Duration) {
	const after = 24 * time.Hour
	for i, p := range l.config.Plans {
		if least := p.Feedback.GiveUp + Duration(after); p.Feedback.On != store.OnOff && kept > 0 && kept < least {
			l.problem("store.retention", "%s is too short: feedback of %s is tried for %s (feedback.give_up), and a day must be left to look "+
				"at what failed; keep at least %s", kept, element("plans", i), p.Feedback.GiveUp, least)
			return
		}
	}
}

// checkReplica wants a name that logs, labels and queries carry as it is.
func (l *loading) checkReplica() {
	if name := l.config.Replica; !regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`).MatchString(name) {
		l.problem("replica", "%q is not a name of a replica; use at most 64 letters, digits, dots, - and _, or leave it out", name)
	}
}
