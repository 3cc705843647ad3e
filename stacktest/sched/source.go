//go:build sched

package sched

import (
	"os"
	"regexp"
	"strings"

	"github.com/softnet-go/softnet/internal/hook"
)

// source holds the lines of source files, to call objects what the source calls them.
type source map[string][]string

// methods are the names by which the source calls an operation.
var methods = map[hook.Op]*regexp.Regexp{
	hook.OpLoad:    regexp.MustCompile(`\.Load\(`),
	hook.OpStore:   regexp.MustCompile(`\.Store\(`),
	hook.OpSwap:    regexp.MustCompile(`\.Swap\(`),
	hook.OpAdd:     regexp.MustCompile(`\.Add\(`),
	hook.OpCAS:     regexp.MustCompile(`\.CompareAndSwap\(`),
	hook.OpLock:    regexp.MustCompile(`\.Lock\(`),
	hook.OpTryLock: regexp.MustCompile(`\.TryLock\(`),
	hook.OpUnlock:  regexp.MustCompile(`\.Unlock\(`),
	hook.OpWait:    regexp.MustCompile(`\.Wait(?:Context)?\(`),
	hook.OpWake:    regexp.MustCompile(`\.(?:Signal|Broadcast)\(`),
	hook.OpSend:    regexp.MustCompile(`\.(?:Try)?Send(?:Context)?\(`),
	hook.OpRecv:    regexp.MustCompile(`\.Recv(?:Context)?\(`),
	hook.OpClose:   regexp.MustCompile(`\.Close\(`),
}

// receiver returns the expression before the call of op at the place, or "" if the source
// is not there or the line calls it on several objects.
func (s source) receiver(op hook.Op, at site) (name string) {
	lines, ok := s[at.file]
	if !ok {
		text, err := os.ReadFile(at.file)
		if err == nil {
			lines = strings.Split(string(text), "\n")
		}
		s[at.file] = lines
	}
	method := methods[op.Verb()]
	if method == nil || at.line < 1 || at.line > len(lines) {
		return ""
	}
	line := lines[at.line-1]
	for _, call := range method.FindAllStringIndex(line, -1) {
		switch one := lastOperand(line[:call[0]]); name {
		case "", one:
			name = one
		default:
			return ""
		}
	}
	return name
}

// lastOperand returns the operand that text ends with: c.slots[i] of "if c.slots[i]".
func lastOperand(text string) string {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch c := text[i]; {
		case c == ']' || c == ')':
			depth++
		case c == '[' || c == '(':
			if depth--; depth < 0 {
				return text[i+1:]
			}
		case depth > 0, c == '.', c == '_', c >= 0x80,
			'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		default:
			return text[i+1:]
		}
	}
	return text
}
