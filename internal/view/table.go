package view

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Cell is one cell of a table.
type Cell struct {
	Text string
	Tone Tone
}

// Column is one column of a table. Wide columns are written only where wide
// output is asked for; right ones hold numbers.
type Column struct {
	Name  string
	Wide  bool
	Right bool
}

// Table is rows under named columns.
type Table struct {
	Columns []Column
	Rows    [][]Cell
}

// Style says how a table is written.
type Style struct {
	Wide  bool
	Color bool
}

// tones are the terminal's colours, as SGR parameters.
var tones = map[Tone]string{
	ToneOK: "32", ToneBusy: "34", ToneWarn: "33", ToneBad: "31", ToneHold: "35", ToneOff: "2",
}

// Paint writes a text in the colour of its tone.
func Paint(s string, t Tone, color bool) string {
	code, ok := tones[t]
	if !color || !ok || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// text is a row's cell without a tone.
func text(s string) Cell {
	if s == "" {
		s = "-"
	}
	return Cell{Text: s}
}

// Write writes the table with two spaces between its columns and none at the
// end of a line. A line break within a cell becomes a space.
func (t Table) Write(w io.Writer, s Style) error {
	show, width := t.layout(s.Wide)
	head := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = Cell{Text: c.Name}
	}
	var b strings.Builder
	for _, row := range append([][]Cell{head}, t.Rows...) {
		t.writeRow(&b, row, show, width, s.Color)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// layout says which columns are shown and how wide each is, in runes.
func (t Table) layout(wide bool) (show []int, width []int) {
	width = make([]int, len(t.Columns))
	for i, c := range t.Columns {
		if c.Wide && !wide {
			continue
		}
		show = append(show, i)
		width[i] = utf8.RuneCountInString(c.Name)
		for _, row := range t.Rows {
			width[i] = max(width[i], utf8.RuneCountInString(row[i].Text))
		}
	}
	return show, width
}

func (t Table) writeRow(out *strings.Builder, row []Cell, show, width []int, color bool) {
	var b strings.Builder
	for n, i := range show {
		cell := OneLine(row[i].Text)
		pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
		cell = Paint(cell, row[i].Tone, color)
		last := n == len(show)-1
		switch {
		case t.Columns[i].Right:
			b.WriteString(pad + cell)
		case last:
			b.WriteString(cell)
		default:
			b.WriteString(cell + pad)
		}
		if !last {
			b.WriteString("  ")
		}
	}
	out.WriteString(strings.TrimRight(b.String(), " ") + "\n")
}

// OneLine makes a text safe for one line of a terminal: control characters,
// line breaks among them, become spaces.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, s)
}

// Printable makes a text of several lines safe for a terminal: line breaks and
// tabs stay, other control characters become question marks.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// Text is the table as a text.
func (t Table) Text(s Style) string {
	var b strings.Builder
	_ = t.Write(&b, s)
	return b.String()
}
