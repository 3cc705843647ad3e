// Package sched explores schedules.
package sched
