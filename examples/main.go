// Command examples runs the lessons and programs of this module:
//
//	go run ./examples
//	go run ./examples run psref-hold
//
// It needs no privileges, no network and no flags. README.md is the gallery; a lesson's
// folder has a README.md of its own, wrong.go, right.go, and what they print.
package main

import "os"

func main() { os.Exit(gallery.Main(os.Args[1:], os.Stdout, os.Stderr)) }
