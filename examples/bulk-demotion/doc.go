// Package bulkdemotion is the lesson of examples/bulk-demotion/README.md: when does a firewall that has
// come back know enough?
package bulkdemotion
