// Package pserializewindow is the lesson about the time between taking an element off a
// list and using it for something else: readers still stand on it.
package pserializewindow
