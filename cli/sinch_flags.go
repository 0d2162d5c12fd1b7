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

// tokenVariable is the environment variable that holds Sinch's API token for a command without a configuration.
const tokenVariable = "DLRLOOP_TOKEN"

// environ returns the environment in the format of os.Environ, without the API token in DLRLOOP_TOKEN. config.Load
// would reject that variable as unknown.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, tokenVariable+"=") })
}

// sinchFlags holds the values of the flags that say which service plan of Sinch a command uses, and with what
// credentials.
type sinchFlags struct {
	path      *string // --config
	plan      string
	region    string
	baseURL   string
	tokenFile string
	timeout   time.Duration
}

// addSinchFlags adds the flags that select a service plan of Sinch and its credentials. Cobra sets the fields of the
// result when it parses the flags.
func addSinchFlags(c *cobra.Command) *sinchFlags {
	s := &sinchFlags{path: configFlag(c)}
	planFlag(c, &s.plan, s.path, "service plan `ID` (default: the only plan of the configuration)")
	flags := c.Flags()
	flags.StringVar(&s.region, "region", "", "`REGION` of the plan: us, eu, au, br or ca; replaces the configuration")
	flags.StringVar(&s.baseURL, "base-url", "", "base `URL` of the API, for example of a simulator or a gateway; "+
		"replaces the configuration")
	flags.StringVar(&s.tokenFile, "token-file", "", "`FILE` with the API token, for --region or --base-url (default $"+
		tokenVariable+")")
	flags.DurationVar(&s.timeout, "timeout", 30*time.Second, "time limit of one call")
	choices(c, "region", "us", "eu", "au", "br", "ca")
	noFiles(c, "base-url")
	return s
}

// planFlag adds --plan, whose value Cobra stores in *plan. Shells complete it with the plan ids of the configuration
// file at *path.
func planFlag(c *cobra.Command, plan, path *string, usage string) {
	c.Flags().StringVar(plan, "plan", "", usage)
	completePlans(c, "plan", path)
}

// client returns a Sinch client for the selected plan, and the id of the plan. It makes no call. Invalid flags are a
// usageError.
func (s *sinchFlags) client() (*sinch.Client, string, error) {
	c, err := s.resolve()
	if err != nil {
		return nil, "", err
	}
	c.Timeout, c.UserAgent = s.timeout, "dlrloop/"+Version()
	client, err := sinch.New(c)
	if err != nil {
		return nil, "", usageError{fmt.Errorf("plan %s: %w", c.Plan, err)}
	}
	return client, c.Plan, nil
}

// run returns a RunE function for a cobra command. The function makes a Sinch client for the selected plan and calls f
// with the command, the command's arguments and the client.
func (s *sinchFlags) run(f func(*cobra.Command, []string, *sinch.Client) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		client, _, err := s.client()
		if err != nil {
			return err
		}
		return f(c, args, client)
	}
}

// resolve returns the settings of the Sinch client: from the flags if --region or --base-url is set, else from the
// loaded configuration. It returns an error if there is neither, or if the plan has no credentials.
func (s *sinchFlags) resolve() (sinch.Config, error) {
	if s.timeout <= 0 {
		return sinch.Config{}, usageError{errors.New("--timeout must be greater than 0")}
	}
	if s.region != "" || s.baseURL != "" {
		return s.fromFlags()
	}
	if s.tokenFile != "" {
		return sinch.Config{}, usageError{errors.New("--token-file needs --region or --base-url; a configuration has " +
			"its own token")}
	}
	if !configured(*s.path) {
		return sinch.Config{}, usageError{errors.New("no configuration: set --config, or --plan, --region (or " +
			"--base-url) and --token-file")}
	}
	loaded, err := config.Load(*s.path, environ())
	if err != nil {
		return sinch.Config{}, err
	}
	p, err := choosePlan(loaded, s.plan)
	if err != nil {
		return sinch.Config{}, err
	}
	c := sinch.Config{Plan: p.ID, Region: p.Region, BaseURL: p.BaseURL, Token: sinch.Secret(p.Token.Reveal())}
	if p.Project.Used() {
		c.Project = sinch.Project{
			ID: p.Project.ID, KeyID: p.Project.KeyID,
			KeySecret: sinch.Secret(p.Project.KeySecret.Reveal()),
		}
	} else if p.Token == "" {
		return sinch.Config{}, usageError{fmt.Errorf("plan %s has no credentials in the configuration; set its "+
			"token_file or project", p.ID)}
	}
	return c, nil
}

// fromFlags returns the settings of the Sinch client from the flags and the file with the token, without loading a
// configuration. A missing or contradictory flag is a usageError.
func (s *sinchFlags) fromFlags() (sinch.Config, error) {
	c := sinch.Config{Plan: s.plan, Region: s.region, BaseURL: s.baseURL}
	switch {
	case s.region != "" && s.baseURL != "":
		return c, usageError{errors.New("--region and --base-url exclude each other; set one of them")}
	case *s.path != "":
		return c, usageError{errors.New("--config cannot be combined with --region or --base-url, which replace the " +
			"configuration")}
	case s.plan == "":
		return c, usageError{errors.New("--plan is required with --region or --base-url")}
	}
	token, err := s.token()
	if err != nil {
		return c, usageError{err}
	}
	c.Token = sinch.Secret(token.Reveal())
	return c, nil
}

func (s *sinchFlags) token() (config.Secret, error) {
	source, content := "$"+tokenVariable, []byte(os.Getenv(tokenVariable))
	if s.tokenFile != "" {
		var err error
		if content, err = readFile(s.tokenFile); err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		source = "--token-file: " + s.tokenFile
	}
	token, err := config.ParseSecret(bytes.Trim(content, " \t\r\n"))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", source, err)
	case token == "" && s.tokenFile == "":
		return "", errors.New("no API token: set --token-file, or " + source)
	case token == "":
		return "", fmt.Errorf("%s is empty", source)
	}
	return token, nil
}

// configured reports whether there is a configuration, valid or not: path is not empty, config.yaml exists in the
// working directory, DLRLOOP_CONFIG is set, or a variable such as DLRLOOP_PLANS_0_ID sets a plan.
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

// choosePlan returns the plan with this id, or if id is empty, the only plan of the configuration. It returns a
// usageError if there is no such plan, or if id is empty and there are several.
func choosePlan(c *config.Config, id string) (config.Plan, error) {
	if id == "" && len(c.Plans) == 1 {
		return c.Plans[0], nil
	}
	for _, p := range c.Plans {
		if p.ID == id {
			return p, nil
		}
	}
	ids := strings.Join(planIDs(c), ", ")
	if id == "" {
		return config.Plan{}, usageError{fmt.Errorf("--plan: the configuration has several plans; name one of %s", ids)}
	}
	return config.Plan{}, usageError{fmt.Errorf("--plan: the configuration has no plan %s; it has %s", id, ids)}
}
