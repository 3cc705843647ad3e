// Bench prints what this module promises about speed and size, measured here and now,
// each thing beside a peer that was measured in the same run.
//
//	go run ./bench                       every group
//	go run ./bench -only ground          lwp, pserialize, psref, witness, internal/hook
//	go run ./bench -only routing         rtable and rtcache, in the full Internet table
//	go run ./bench -run 'psref.*thread'  the rows whose name matches
//	go run ./bench -list                 the rows, their targets and peers; nothing is run
//	go run ./bench -quick                a glance: a few seconds, rough figures
//	go run ./bench -json                 the same for programs
//	go run ./bench -check                exit status 1 unless every target was met
//
// Nanoseconds belong to one machine, so targets are ratios: to X, which is one atomic
// exchange that nobody else wants, or to a peer that does the same job another way.
//
// # How a figure is taken
//
// A machine has other things to do. So a figure is made of short windows, and a window
// counts only if the kernel says that nobody disturbed it: our threads waited for a core
// for less than 2 % of it, and used the cores that they should for at least 93 %. Fifteen
// such windows make the figure of a round, their median. The rounds go over all rows again
// and again, so that a machine that changes its speed changes it for both sides; a ratio is taken within each round, and what is printed is the median over the
// rounds. A row that is not undisturbed in three rounds is "not measurable here", which is
// no verdict; nor is a figure from a build with checks in it, or one that needs more
// cores than there are. Only Linux tells all this: on other systems every window counts,
// and the header says so.
//
// On a machine that is never quiet, rows that need two cores find none. There the real-time
// class gives a minute's worth of windows, at the expense of everybody else:
//
//	chrt --fifo 1 go run ./bench -only ground
//
// Where several goroutines run, the figure is the core time of one operation: perfect
// scaling leaves it as it is with one. [a .. b] is the middle half of the rounds.
//
// # Adding a group
//
// A group is one file with a function that returns rows, and a line in row.go. A row is
// something of ours and what it is held against; a probe is one thing to be measured. A
// probe that several rows mention is measured once a round. What a probe runs is a method
// or a function with a name: the compiler does not inline into a closure that was made by
// a function it has inlined, and would measure calls that users do not make.
package main
