package config

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func (l *loader) checkPlan(i int) {
	p, key := &l.config.Plans[i], element("plans", i)
	if name, added := l.createdBy[key]; added && p.ID == "" && !l.isInvalid(below(key, "id")) {
		l.add(Problem{Variable: name, Key: key, Message: fmt.Sprintf(
			"there is no such plan: plans are numbered from 0, and %s has no id; correct the number, or also set $%s",
			key, variable(below(key, "id")))})
		return
	}
	l.checkID(below(key, "id"), p.ID, l.config.Plans[:i])
	l.checkCredentials(key, p)
	l.checkOrigin(key, p)
	l.checkAuth(below(key, "webhook.auth"), p.Webhook.Auth)
	l.checkFeedback(below(key, "feedback"), p.Feedback)
	l.checkPlanGateway(key, *p)
}

func (l *loader) checkID(key, id string, before []Plan) {
	switch {
	case id == "":
		l.problemOnce("is not set; copy the service plan id from Sinch's dashboard", key)
	case !webhook.IsPathSegment(id):
		l.problem(key, "%q cannot be part of a URL's path; copy the service plan id from Sinch's dashboard", id)
	}
	for i := range before {
		if id != "" && before[i].ID == id {
			l.problem(key, "%q is already the id of %s; list each plan once", id, element("plans", i))
			return
		}
	}
}

// checkCredentials records a problem if the plan sends feedback but has no credentials. It also records one if the plan
// has both an API token and a project's access key. But if environment variables set only the token or only the access
// key, they override the file: checkCredentials then removes from p what the file sets, and records no problem.
func (l *loader) checkCredentials(key string, p *Plan) {
	token, project := p.Token != "" || p.TokenFile != "", p.Project.Used()
	if token && project {
		token, project = l.either(
			[]string{below(key, "token"), below(key, "token_file")},
			[]string{
				below(key, "project"), below(key, "project.id"), below(key, "project.key_id"),
				below(key, "project.key_secret"), below(key, "project.key_secret_file"),
			})
	}
	if !token {
		p.Token, p.TokenFile = "", ""
	}
	if !project {
		p.Project = Project{}
	}
	if !token && !project && p.Feedback.On != store.OnOff {
		l.problemOnce("no credentials for sending feedback are set; set token_file, token or project, or feedback: {on: off}",
			below(key, "token"), below(key, "token_file"), below(key, "project"), below(key, "feedback.on"))
	}
	if project {
		l.checkProject(below(key, "project"), p.Project)
	}
}

func (l *loader) checkProject(key string, p Project) {
	sinch.Project{ID: p.ID, KeyID: p.KeyID, KeySecret: sinch.Secret(p.KeySecret.Reveal())}.Check(l.problemRecorder(key))
	if p.ID != "" && !webhook.IsPathSegment(p.ID) {
		l.problem(below(key, "id"), "%q cannot be part of a URL's path; copy the project id from Sinch's dashboard", p.ID)
	}
}

// checkOrigin records a problem if the plan has neither a region nor a base URL of Sinch's API, if it has both, or if
// the one that it has is invalid. But if an environment variable sets only the region or only the base URL, the
// variable overrides the file: checkOrigin then removes from p what the file sets, and records no problem for having
// both.
func (l *loader) checkOrigin(key string, p *Plan) {
	region, base := below(key, "region"), below(key, "base_url")
	if p.Region != "" && p.BaseURL != "" {
		useRegion, useBase := l.either([]string{region}, []string{base})
		if !useRegion {
			p.Region = ""
		}
		if !useBase {
			p.BaseURL = ""
		}
	}
	switch {
	case p.BaseURL != "":
		l.checkBaseURL(base, p)
		if u, err := url.Parse(p.BaseURL); err == nil && u.Scheme == "http" && !access.LoopbackHost(u.Hostname()) {
			l.warn(base, "is not HTTPS: credentials and numbers cross the network in clear text")
		}
	default:
		switch err := sinch.CheckRegion(p.Region, p.Project.Used()); {
		case err != nil && p.Region == "":
			l.problemOnce(err.Error(), region, base)
		case err != nil:
			l.problem(region, "%s", err)
		}
	}
}

// checkBaseURL checks the base URL of a plan. It removes /xms/v1 or /xms/v1/{id} from the end of the URL, because the
// Sinch client appends this path. {id} is the id of the plan or of its project. If the URL is invalid, checkBaseURL
// records a problem with key.
func (l *loader) checkBaseURL(key string, p *Plan) {
	p.BaseURL = l.checkURL(key, p.BaseURL)
	id := p.ID
	if p.Project.Used() {
		id = p.Project.ID
	}
	base, err := sinch.ParseBaseURL(p.BaseURL, id)
	if err != nil {
		l.problem(key, "%s", err)
		l.markInvalid(key)
		return
	}
	p.BaseURL = base
}

func (l *loader) checkAuth(key string, a Auth) {
	checkOneOf(l, below(key, "on_failure"), a.OnFailure, webhook.RetryOnFailure, webhook.RejectOnFailure)
	auth := a.Webhook()
	for block, secrets := range map[string]*[]string{
		"hmac": &auth.HMAC.Secrets, "header": &auth.Header.Values, "path_token": &auth.PathTokens,
	} {
		if *secrets == nil && l.isPresent(below(key, block)) {
			*secrets = []string{} // as in hmac: {}, which must not accept every callback
		}
	}
	auth.Check(l.problemRecorder(key))
	if age := a.HMAC.MaxAge; age > 0 && age < Duration(24*time.Hour) {
		l.warn(below(key, "hmac.max_age"), "%s is less than the day for which Sinch retries a callback; "+
			"if retries keep their first signature, their verification fails", age)
	}
}

// problemRecorder returns a function that records problems with settings of the configuration block at key. The Check
// methods of other packages call the function for each invalid setting: member is the name of the setting in the block,
// text says what is wrong. The function records nothing if the setting, or the setting that names its file (token_file
// for token), is already marked as invalid.
func (l *loader) problemRecorder(key string) func(member, text string) {
	return func(member, text string) {
		at := strings.TrimSuffix(below(key, member), ".")
		l.problemOnce(text, at, at+"_file", strings.TrimSuffix(at, "s")+"_files")
	}
}

// isPresent reports whether the configuration file contains key, even without a value, or an environment variable sets
// key or a key inside it.
func (l *loader) isPresent(key string) bool {
	_, inFile := l.source.places[key]
	return inFile || l.firstVariable(key) != ""
}

func (l *loader) checkFeedback(key string, f Feedback) {
	checkOneOf(l, below(key, "on"), f.On, store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff)
	checkOneOf(l, below(key, "batches"), f.Batches, KnownBatches, AllBatches)
	f.Backoff.Relay().Check(l.problemRecorder(below(key, "backoff")))
}
