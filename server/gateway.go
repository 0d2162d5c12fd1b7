package server

import (
	"fmt"
	"net/url"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/gateway"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func newGateway(c *config.Config, s *Server) (*gateway.Gateway, error) {
	g := gateway.Config{
		Listen:  c.Private.Listen,
		Basic:   config.Access(c.Private.Credentials.Basic),
		Bearer:  config.Reveal(c.Private.Credentials.Tokens),
		MaxBody: int64(c.Gateway.MaxBody),
	}
	if c.Gateway.Listen != "" {
		g.Listen = c.Gateway.Listen
	}
	callbacks := map[string]string{}
	if c.Gateway.Defaults {
		callbacks = callbackURLs(c.Public.URL, c.Plans)
	}
	for _, p := range c.Plans {
		plan := gateway.Plan{
			ID: p.ID, Project: p.Project.ID, TakesFeedback: p.Feedback.On != store.OnOff, Callback: callbacks[p.ID],
		}
		var err error
		if plan.Endpoint, err = endpointOf(p); err != nil {
			return nil, fmt.Errorf("plan %s: %w", p.ID, err)
		}
		if p.Gateway.Token == config.PlanToken {
			if plan.Client, err = newClient(p, s.options.Version); err != nil {
				return nil, fmt.Errorf("plan %s: %w", p.ID, err)
			}
		}
		g.Plans = append(g.Plans, plan)
	}
	return gateway.New(g, s.store, s.metrics, s.log)
}

// endpointOf returns the base URL of Sinch's API for a service plan. The plan need not have credentials. The error says
// which setting is invalid.
func endpointOf(p config.Plan) (string, error) {
	return sinch.Config{
		Plan: p.ID, Region: p.Region, BaseURL: p.BaseURL,
		Project: sinch.Project{ID: p.Project.ID},
	}.Endpoint()
}

// callbackURLs returns, by plan id, the URL to which Sinch must send the callbacks of the plan. It consists of the base
// URL given as public, "/webhooks/" and the plan id. If the plan has path tokens (secrets that prove that Sinch calls),
// a slash and the first token follow.
func callbackURLs(public string, plans []config.Plan) map[string]string {
	urls := make(map[string]string, len(plans))
	for _, p := range plans {
		urls[p.ID] = public + "/webhooks/" + url.PathEscape(p.ID)
		if tokens := p.Webhook.Auth.PathToken.Values; len(tokens) > 0 {
			urls[p.ID] += "/" + url.PathEscape(tokens[0].Reveal())
		}
	}
	return urls
}
