package config

import (
	"regexp"
	"time"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func (l *loader) checkStore() {
	s := l.config.Store
	switch s.Driver {
	case DriverBolt:
		l.checkBoltStore(s)
	case DriverPostgres:
		l.checkPostgresStore(s)
	default:
		checkOneOf(l, "store.driver", s.Driver, DriverBolt, DriverPostgres)
	}
	l.checkRetention(s.Retention)
}

func (l *loader) checkBoltStore(s Store) {
	if s.Path == "" {
		l.problemOnce("is empty; name the directory of the store", "store.path")
	} else {
		l.checkDir("store.path", s.Path)
	}
	key := "store.url"
	if s.URLFile != "" {
		key = "store.url_file"
	}
	if s.URL != "" || s.URLFile != "" {
		l.problem(key, "is set, but store.driver is bolt, which stores everything in a directory; "+
			"set driver: postgres, or remove the URL")
	}
}

func (l *loader) checkPostgresStore(s Store) {
	if err := s.Dialect.Check(); err != nil {
		l.problem("store.dialect", "%s", err)
	}
	if s.URL == "" {
		if s.URLFile == "" { // otherwise readSecret has reported the problem
			l.problemOnce("is postgres, but no database is set; set url_file or url",
				"store.driver", "store.url", "store.url_file")
		}
		return
	}
	key := "store.url"
	if s.URLFile != "" && !l.inEnvironment(key) {
		key = "store.url_file"
	}
	switch d, err := pgstore.ParseURL(s.URL.Reveal()); {
	case err != nil:
		l.problem(key, "%s", err)
	case !d.Verified:
		l.warn(key, "the database's certificate is not verified, so others on the network can read and change everything; "+
			"add sslmode=verify-full, and sslrootcert=FILE if the certificate is not from a public authority")
	}
}

// checkRetention records a problem if kept, the value of store.retention, is too short. dlrloop retries events and
// feedback for the time give_up. After this time they are dead: dlrloop does not retry them, but must keep them for
// another day. So kept must exceed, by a day, give_up of every destination and of every plan that sends feedback.
func (l *loader) checkRetention(kept Duration) {
	const after = 24 * time.Hour
	for i, p := range l.config.Plans {
		if least := p.Feedback.GiveUp + Duration(after); p.Feedback.On != store.OnOff && kept > 0 && kept < least {
			l.problem("store.retention", "%s is too short: feedback of %s is retried for %s (feedback.give_up), and dead "+
				"feedback must be kept for a day; set at least %s", kept, element("plans", i), p.Feedback.GiveUp, least)
			return
		}
	}
	for i, d := range l.config.Destinations {
		if least := d.GiveUp + Duration(after); kept > 0 && kept < least {
			l.problem("store.retention", "%s is too short: events of %s are retried for %s (give_up), and dead events must "+
				"be kept for a day; set at least %s", kept, element("destinations", i), d.GiveUp, least)
			return
		}
	}
}

// checkReplica records a problem unless the name of the replica consists of at most 64 letters, digits, dots, - and _.
// Such a name needs no escaping in logs, metric labels and queries. An empty name is valid: dlrloop then generates one.
func (l *loader) checkReplica() {
	if name := l.config.Replica; !regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`).MatchString(name) {
		l.problem("replica", "%q is not a valid name of a replica; use at most 64 letters, digits, dots, - and _, "+
			"or remove the key", name)
	}
}
