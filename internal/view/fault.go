package view

import (
	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Fault is one row of the catalogue of failures.
type Fault struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Code       string   `json:"code"`
	Also       []string `json:"also,omitempty"`
	Cause      string   `json:"cause"`
	Solution   string   `json:"solution"`
	Scope      string   `json:"scope"`
	Next       string   `json:"next"`
	Again      string   `json:"again"`
	Origin     string   `json:"origin"`
	RaisedBy   string   `json:"raisedBy,omitempty"`
}

// NewFault makes the view of a row of the catalogue.
func NewFault(e fault.Entry) Fault {
	v := Fault{
		APIVersion: APIVersion, Kind: "Fault", Code: string(e.Code), Cause: e.Cause, Solution: e.General(),
		Scope: string(e.Scope), Next: string(e.Next), Again: e.Retry.String(), Origin: string(e.Origin), RaisedBy: e.RaisedBy,
	}
	for _, c := range e.Also {
		v.Also = append(v.Also, string(c))
	}
	return v
}

// FaultTable is rows of the catalogue as a table.
func FaultTable(list []Fault) Table {
	t := Table{Columns: []Column{
		{Name: "CODE"}, {Name: "SPEAKS OF"}, {Name: "NEXT"}, {Name: "AGAIN"}, {Name: "CAUSE"}, {Name: "SOLUTION", Wide: true},
	}}
	for _, v := range list {
		t.Rows = append(t.Rows, []Cell{text(v.Code), text(v.Scope), text(v.Next), text(v.Again), text(v.Cause), text(v.Solution)})
	}
	return t
}

// Describe is a row of the catalogue in named lines.
func (v Fault) Describe(color bool) string {
	return Describe([]Field{
		field("Code", "%s", v.Code), listField("Also", v.Also), field("Cause", "%s", v.Cause), advice("Solution", v.Solution),
		field("Raised by", "%s", v.RaisedBy), field("Speaks of", "%s", v.Scope), field("Next", "%s", v.Next), field("Again", "%s", v.Again),
	}, color)
}
