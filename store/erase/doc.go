// Package erase replaces one phone number by another name in what a store holds: texts, the bodies of callbacks, and
// events. Its entry point is New. Both stores use it to implement store.Store.Erase.
package erase
