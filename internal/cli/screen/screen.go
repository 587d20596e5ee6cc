// Package screen redraws a few lines at the end of a terminal, and hears the key
// that leaves them. In come lines; out go control sequences. It never asks anything.
package screen

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/poolkeeper/poolkeeper/internal/view"
)

// Screen redraws a few lines at the end of a terminal.
type Screen struct {
	Out   io.Writer
	lines int
}

// Draw replaces the lines drawn before.
func (s *Screen) Draw(lines []string) {
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.lines)
	}
	for _, l := range lines {
		b.WriteString("\x1b[2K" + cutTo(view.OneLine(l), s.width()) + "\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(s.Out, b.String())
	s.lines = len(lines)
}

// Clear takes the lines away.
func (s *Screen) Clear() {
	if s.lines > 0 {
		fmt.Fprintf(s.Out, "\x1b[%dA\x1b[J", s.lines)
	}
	s.lines = 0
}

// Leave lets the lines stand: what comes next is written below them.
func (s *Screen) Leave() { s.lines = 0 }

// width of the terminal; 80 where it does not say. Unit: characters.
func (s *Screen) width() int {
	if f, ok := s.Out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

func cutTo(s string, width int) string {
	r := []rune(s)
	if len(r) <= width {
		return s
	}
	return string(r[:width])
}
