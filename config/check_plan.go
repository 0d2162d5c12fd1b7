package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func (l *loading) checkPlan(i int) {
	p, key := &l.config.Plans[i], element("plans", i)
	if maker, made := l.made[key]; made && p.ID == "" && !l.isFaulty(below(key, "id")) {
		l.add(Problem{Variable: maker, Key: key, Message: fmt.Sprintf(
			"there is no such plan: plans are counted from 0, and %s has no id; correct the number, or set $%s too", key, variable(below(key, "id")))})
		return
	}
	l.checkID(below(key, "id"), p.ID, l.config.Plans[:i])
	l.checkCredentials(key, p)
	l.checkOrigin(key, p)
	l.checkAuth(below(key, "webhook.auth"), p.Webhook.Auth)
	l.checkFeedback(below(key, "feedback"), p.Feedback)
	l.checkPlanGateway(key, *p)
}

func (l *loading) checkID(key, id string, before []Plan) {
	switch {
	case id == "":
		l.missing("is not set; it is the service plan id that Sinch's dashboard shows", key)
	case !isSegment(id):
		l.problem(key, "%q cannot be part of a URL's path; copy the service plan id from Sinch's dashboard", id)
	}
	for i := range before {
		if id != "" && before[i].ID == id {
			l.problem(key, "%q is the id of %s already; each plan has one entry", id, element("plans", i))
			return
		}
	}
}

// isSegment reports whether a text can stand between two slashes of a path as it is.
func isSegment(text string) bool {
	return text != "" && text != "." && text != ".." && url.PathEscape(text) == text
}

// checkCredentials wants one way to call Sinch: the token or the project's key.
func (l *loading) checkCredentials(key string, p *Plan) {
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
		l.missing("there are no credentials to send feedback with; set token_file, token or project, or feedback: {on: off}",
			below(key, "token"), below(key, "token_file"), below(key, "project"), below(key, "feedback.on"))
	}
	if project {
		l.checkProject(below(key, "project"), p.Project)
	}
}

func (l *loading) checkProject(key string, p Project) {
	switch {
	case p.ID == "":
		l.missing("is not set; a project needs id, key_id and key_secret_file", below(key, "id"))
	case !isSegment(p.ID):
		l.problem(below(key, "id"), "%q cannot be part of a URL's path; copy the project id from Sinch's dashboard", p.ID)
	}
	if p.KeyID == "" {
		l.missing("is not set; a project needs id, key_id and key_secret_file", below(key, "key_id"))
	}
	if p.KeySecret == "" && p.KeySecretFile == "" {
		l.missing("there is no secret of the access key; set key_secret_file or key_secret",
			below(key, "key_secret"), below(key, "key_secret_file"))
	}
}

// checkOrigin wants to know where the plan is: the region or the origin itself.
func (l *loading) checkOrigin(key string, p *Plan) {
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
		if u, err := url.Parse(p.BaseURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			l.warn(base, "is not HTTPS: credentials and numbers cross the network in clear text")
		}
	case p.Region == "":
		l.missing("is not set; write the region of the service plan: us, eu, au, br or ca", region, base)
	case p.Project.Used() && (p.Region == "au" || p.Region == "br" || p.Region == "ca"):
		l.problem(region, "Sinch takes a project's access key in us and eu only; use the service plan's API token")
	default:
		choose(l, region, p.Region, "us", "eu", "au", "br", "ca")
	}
}

// checkBaseURL leaves of the URL what comes before the API's path.
func (l *loading) checkBaseURL(key string, p *Plan) {
	p.BaseURL = l.checkURL(key, p.BaseURL)
	id := p.ID
	if p.Project.Used() {
		id = p.Project.ID
	}
	base, err := sinch.ParseBaseURL(p.BaseURL, id)
	if err != nil {
		l.problem(key, "%s", err)
		l.fault(key)
		return
	}
	p.BaseURL = base
}

func (l *loading) checkAuth(key string, a Auth) {
	choose(l, below(key, "on_failure"), a.OnFailure, Retry, Reject)
	if a.None && a.Any() {
		l.problem(below(key, "none"), "takes callbacks unverified, yet a way to verify them is set too; keep one of the two")
	}
	hmac, header, path := below(key, "hmac"), below(key, "header"), below(key, "path_token")
	if !a.None && !a.Any() && !l.isWritten(hmac) && !l.isWritten(header) && !l.isWritten(path) {
		l.missing("there is no way to verify callbacks; set hmac, basic, header or path_token, or none: true if only Sinch can reach the webhook", key)
	}
	l.checkHMAC(hmac, a.HMAC)
	for i, pair := range a.Basic {
		l.checkBasic(element(below(key, "basic"), i), pair)
	}
	l.checkHeader(header, a.Header)
	l.checkPathToken(path, a.PathToken)
}

// isWritten reports whether a key is there, whatever is below it.
func (l *loading) isWritten(key string) bool {
	_, inFile := l.source.places[key]
	return inFile || l.speaksOf(key) != ""
}

func (l *loading) checkHMAC(key string, h HMAC) {
	if l.isWritten(key) && len(h.Secrets)+len(h.SecretFiles) == 0 {
		l.missing("there is no secret; set secret_files or secrets", below(key, "secrets"), below(key, "secret_files"))
	}
	if h.MaxAge > 0 && h.MaxAge < Duration(24*time.Hour) {
		l.warn(below(key, "max_age"), "%s is less than the day in which Sinch repeats a callback; if it does not sign its repeats anew, they will not verify", h.MaxAge)
	}
}

func (l *loading) checkHeader(key string, h Header) {
	switch {
	case !l.isWritten(key):
		return
	case h.Name == "":
		l.missing("is not set; it is the header that Sinch was asked to send", below(key, "name"))
	case !isToken(h.Name):
		l.problem(below(key, "name"), "%q is not the name of a header; use letters, digits and -", h.Name)
	case slices.Contains(connectionHeaders(), strings.ToLower(h.Name)):
		l.problem(below(key, "name"), "%q belongs to HTTP itself and never holds a secret; choose another header", h.Name)
	}
	if len(h.Values)+len(h.ValueFiles) == 0 {
		l.missing("there is no value to accept; set value_files or values", below(key, "values"), below(key, "value_files"))
	}
}

// connectionHeaders are headers that net/http, or a proxy, takes out of a request before a handler sees it.
func connectionHeaders() []string {
	return []string{
		"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect",
	}
}

// isToken reports whether a text is a token of RFC 9110, which header names are.
func isToken(text string) bool {
	const special = "!#$%&'*+-.^_`|~"
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(special, r)
	})
}

func (l *loading) checkPathToken(key string, t PathToken) {
	if l.isWritten(key) && len(t.Values)+len(t.ValueFiles) == 0 {
		l.missing("there is no token to accept; set value_files or values", below(key, "values"), below(key, "value_files"))
	}
	for _, value := range t.Values {
		if value != "" && !l.isFaulty(key) && !isSegment(value.Reveal()) {
			l.problem(key, "a token cannot be part of a URL's path as it is; use letters, digits, - and _")
			return
		}
	}
}

func (l *loading) checkFeedback(key string, f Feedback) {
	choose(l, below(key, "on"), f.On, store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff)
	choose(l, below(key, "batches"), f.Batches, KnownBatches, AllBatches)
	if f.Backoff.Cap < f.Backoff.Base {
		l.problem(below(key, "backoff.cap"), "%s is less than backoff.base, %s; the cap is the longest wait", f.Backoff.Cap, f.Backoff.Base)
	}
}
