// Package listener holds what the handlers of all listeners have in common: the gin engine (NewEngine), contexts that
// do not end with the caller's connection (Detach), and the refusal of TRACE (WithoutTrace). Packages webhook, gateway
// and api import listener.
package listener
