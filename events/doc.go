// Package events writes the JSON of events: Marshal returns the object that the feed of the API shows and that
// destinations receive. docs/events.md describes the members for application developers.
package events
