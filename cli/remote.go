package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/sinch"
)

// tokenVariable has the API token where there is no configuration.
const tokenVariable = "DLRLOOP_TOKEN"

// environ is the environment without tokenVariable, which is no key of the configuration.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, tokenVariable+"=") })
}

// remote is the service plan at Sinch that a command is about, as its flags name it.
type remote struct {
	path      *string // of the configuration
	plan      string
	region    string
	baseURL   string
	tokenFile string
	timeout   time.Duration
}

// remoteFlags adds to a command how it reaches Sinch.
func remoteFlags(c *cobra.Command) *remote {
	r := &remote{path: configFlag(c)}
	planFlag(c, &r.plan, r.path, "service plan `ID`; default: the only one of the configuration")
	flags := c.Flags()
	flags.StringVar(&r.region, "region", "", "`REGION` of the plan, us, eu, au, br or ca, instead of a configuration")
	flags.StringVar(&r.baseURL, "base-url", "", "`URL` of the API, such as a simulator's or a gateway's, instead of a configuration")
	flags.StringVar(&r.tokenFile, "token-file", "", "`FILE` with the API token, with --region or --base-url; else $"+tokenVariable)
	flags.DurationVar(&r.timeout, "timeout", 30*time.Second, "how long one call may take")
	choices(c, "region", "us", "eu", "au", "br", "ca")
	noFiles(c, "base-url")
	return r
}

// planFlag adds --plan, completed from the configuration.
func planFlag(c *cobra.Command, plan, path *string, usage string) {
	c.Flags().StringVar(plan, "plan", "", usage)
	plans(c, "plan", path)
}

// client makes a client for the plan, and tells the plan's id.
func (r *remote) client() (*sinch.Client, string, error) {
	c, err := r.resolve()
	if err != nil {
		return nil, "", err
	}
	c.Timeout, c.UserAgent = r.timeout, "dlrloop/"+Version()
	client, err := sinch.New(c)
	if err != nil {
		return nil, "", usageError{fmt.Errorf("plan %s: %w", c.Plan, err)}
	}
	return client, c.Plan, nil
}

func (r *remote) resolve() (sinch.Config, error) {
	if r.timeout <= 0 {
		return sinch.Config{}, usageError{errors.New("--timeout must be more than 0")}
	}
	if r.region != "" || r.baseURL != "" {
		return r.fromFlags()
	}
	if r.tokenFile != "" {
		return sinch.Config{}, usageError{errors.New("--token-file goes with --region or --base-url; the configuration names its own token")}
	}
	if !configured(*r.path) {
		return sinch.Config{}, usageError{errors.New("no configuration: name one with --config, or give --plan, --region (or --base-url) and --token-file")}
	}
	loaded, err := config.Load(*r.path, environ())
	if err != nil {
		return sinch.Config{}, err
	}
	p, err := choosePlan(loaded, r.plan)
	if err != nil {
		return sinch.Config{}, err
	}
	c := sinch.Config{Plan: p.ID, Region: p.Region, BaseURL: p.BaseURL, Token: sinch.Secret(p.Token.Reveal())}
	if p.Project.Used() {
		c.Project = sinch.Project{ID: p.Project.ID, KeyID: p.Project.KeyID, KeySecret: sinch.Secret(p.Project.KeySecret.Reveal())}
	} else if p.Token == "" {
		return sinch.Config{}, usageError{fmt.Errorf("plan %s has no credentials in the configuration: set token_file or project there", p.ID)}
	}
	return c, nil
}

// fromFlags reads no configuration.
func (r *remote) fromFlags() (sinch.Config, error) {
	c := sinch.Config{Plan: r.plan, Region: r.region, BaseURL: r.baseURL}
	switch {
	case r.region != "" && r.baseURL != "":
		return c, usageError{errors.New("--region and --base-url: give only one of them")}
	case *r.path != "":
		return c, usageError{errors.New("--config goes without --region and --base-url: these stand instead of a configuration")}
	case r.plan == "":
		return c, usageError{errors.New("--plan is needed with --region or --base-url")}
	}
	token, err := r.token()
	if err != nil {
		return c, usageError{err}
	}
	c.Token = sinch.Secret(token.Reveal())
	return c, nil
}

func (r *remote) token() (config.Secret, error) {
	source, content := "$"+tokenVariable, []byte(os.Getenv(tokenVariable))
	if r.tokenFile != "" {
		var err error
		if content, err = readFile(r.tokenFile); err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		source = "--token-file: " + r.tokenFile
	}
	token, err := config.ParseSecret(bytes.Trim(content, " \t\r\n"))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", source, err)
	case token == "" && r.tokenFile == "":
		return "", errors.New("no API token: name its file with --token-file, or set " + source)
	case token == "":
		return "", fmt.Errorf("%s is empty", source)
	}
	return token, nil
}

// configured reports whether there is a configuration to read, right or wrong: a file, or variables that name a plan.
func configured(path string) bool {
	if path != "" || slices.ContainsFunc(os.Environ(), func(s string) bool {
		name, value, _ := strings.Cut(s, "=")
		return value != "" && (name == "DLRLOOP_CONFIG" || strings.HasPrefix(name, "DLRLOOP_PLANS_"))
	}) {
		return true
	}
	_, err := os.Stat("config.yaml")
	return err == nil
}

func planIDs(c *config.Config) []string {
	ids := make([]string, len(c.Plans))
	for i, p := range c.Plans {
		ids[i] = p.ID
	}
	return ids
}

// choosePlan is the plan of this id, or the only one.
func choosePlan(c *config.Config, id string) (config.Plan, error) {
	if id == "" && len(c.Plans) == 1 {
		return c.Plans[0], nil
	}
	for _, p := range c.Plans {
		if p.ID == id {
			return p, nil
		}
	}
	there := strings.Join(planIDs(c), ", ")
	if id == "" {
		return config.Plan{}, usageError{fmt.Errorf("--plan: the configuration has several, name one: %s", there)}
	}
	return config.Plan{}, usageError{fmt.Errorf("--plan: the configuration has no %s; it has: %s", id, there)}
}
