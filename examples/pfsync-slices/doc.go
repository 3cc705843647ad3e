// Package pfsyncslices is the lesson of examples/pfsync-slices/README.md: which slice tells of a state?
package pfsyncslices
