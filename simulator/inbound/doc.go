// Package inbound sends the callbacks about messages from phones to the customer (MO): those that a test asks for and
// the replies of recipients to a batch. Its entry points are Plan.Receive and Plan.Reply. It imports the packages
// callbacks, ledger, random and xms of the simulator; simulator and simulator/batches import it.
package inbound
