// Command promcheck reads alert rules and dashboards as Prometheus reads them,
// and fails where an expression is wrong or names a metric of ours that the page
// of metrics does not have. In come paths, the page first; out go complaints. It
// asks no server.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	wrong := check(os.Args[1], os.Args[2:])
	for _, w := range wrong {
		fmt.Fprintln(os.Stderr, w)
	}
	if len(wrong) > 0 {
		os.Exit(1)
	}
}

// check complains of every file.
func check(page string, files []string) []string {
	known, err := metrics(page)
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, file := range files {
		exprs, problems := expressions(file)
		wrong = append(wrong, problems...)
		for _, e := range exprs {
			wrong = append(wrong, unknown(file, e, known)...)
		}
		if len(exprs) == 0 {
			wrong = append(wrong, file+": no expression was found")
		}
	}
	return wrong
}

var heading = regexp.MustCompile("(?m)^### `(poolkeeper_[a-z_]+)`(?:, a (histogram))?")

// metrics are the names on the page, with those that a histogram gives.
func metrics(page string) (map[string]bool, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = true
		if m[2] != "" {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				known[m[1]+part] = true
			}
		}
	}
	return known, nil
}

// expressions are those of one file: rules in YAML, a dashboard in JSON.
func expressions(file string) (exprs, wrong []string) {
	if filepath.Ext(file) == ".json" {
		return dashboard(file)
	}
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		wrong = append(wrong, fmt.Sprintf("%s: %v", file, err))
	}
	if groups == nil {
		return nil, wrong
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
			if text := r.Annotations["summary"] + r.Annotations["description"]; !strings.Contains(text, "poolkeeper why") {
				wrong = append(wrong, fmt.Sprintf("%s: the alert %s does not name poolkeeper why", file, r.Alert))
			}
		}
	}
	return exprs, wrong
}

func dashboard(file string) (exprs, wrong []string) {
	var d struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		return nil, []string{fmt.Sprintf("%s: %v", file, err)}
	}
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			exprs = append(exprs, strings.ReplaceAll(t.Expr, "$__rate_interval", "5m"))
		}
		if p.Title == "" || len(p.Targets) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: the panel %q has no title or asks for nothing", file, p.Title))
		}
	}
	return exprs, wrong
}

// unknown complains of an expression that cannot be read, or of metrics in it
// that nobody has.
func unknown(file, expr string, known map[string]bool) []string {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{fmt.Sprintf("%s: %s: %v", file, expr, err)}
	}
	var wrong []string
	for _, series := range parser.ExtractSelectors(e) {
		for _, m := range series {
			if m.Name == model.MetricNameLabel && !known[m.Value] {
				wrong = append(wrong, fmt.Sprintf("%s: there is no metric %s (%s)", file, m.Value, expr))
			}
		}
	}
	return wrong
}
