// Package handlers holds no code. Its folders are the packages that answer HTTP requests:
//
//   - webhook: Sinch calls us. It authenticates and parses a callback, and answers after the store's Record.
//   - gateway: applications call Sinch through us. It passes calls on and records the batches in Sinch's answers.
//   - api: people and programs ask about batches. It reads the store, registers batches and requeues feedback.
//   - access: the credentials of the private listener, which api and gateway check.
//   - listener: what all listeners do around a handler.
//   - problem: the answers to errors.
//
// webhook, gateway and api do not import each other. Package server imports them, and
// package config the checks of webhook and access.
package handlers
