// Command gen writes the stored table from its source: the test data of the module
// github.com/gaissmai/bart, in the version that go.mod requires.
//
//	go generate ./internal/internet
package main
