// Verification runs everything that is not a plain test and writes down what it said, with
// date, machine and commit, in docs/verification.md:
//
//	go run ./internal/verification                       all of it, a quarter of an hour or more
//	go run ./internal/verification -only explore,litmus  some of it; the rest of the page stays
//	go run ./internal/verification -o page.md            another page
//
// The sections of the page, and what each runs:
//
//	explore   go test -tags sched -run Explore, package by package
//	models    go run ./internal/modelcheck -md
//	mutants   go run ./internal/mutants -md
//	torture   go run ./internal/torture -all -for 2s
//	litmus    go test -v -run Litmus ./internal/litmus
//
// A section is written only if all it ran was as it should be; else the page keeps what it
// had, and the exit status is 1. Where spin or a C compiler is missing, models is skipped.
// It runs in the root of the repository.
package main
