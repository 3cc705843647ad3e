// Package wqinputicmp is the lesson about input that has to wait, where nobody may.
package wqinputicmp
