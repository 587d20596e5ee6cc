package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeSBOM writes the parts of programs into one file.
func writeSBOM(file string, programs []string) error {
	var list []program
	for _, path := range programs {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read what %s is built of: %w", path, err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		list = append(list, program{name: filepath.Base(path), sum: sha256.Sum256(content), info: info})
	}
	text, err := encode(bill(list))
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// program is one program with what Go wrote into it.
type program struct {
	name string
	sum  [sha256.Size]byte
	info *buildinfo.BuildInfo
}

// bill is the list of parts: each program, what it is built of, and which
// program holds which part. The same programs give the same bill.
func bill(programs []program) *cdx.BOM {
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &cdx.Component{BOMRef: "poolkeeper", Type: cdx.ComponentTypeApplication, Name: "poolkeeper"}}
	parts, holds := map[string]cdx.Component{}, []cdx.Dependency{}
	for _, p := range programs {
		refs := []string{part(parts, &debug.Module{Path: "stdlib", Version: strings.TrimPrefix(p.info.GoVersion, "go")})}
		for _, m := range p.info.Deps {
			refs = append(refs, part(parts, m))
		}
		slices.Sort(refs)
		refs = slices.Compact(refs)
		ref := "program/" + p.name
		parts[ref] = cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeApplication, Name: p.name, Version: p.info.Main.Version,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(p.sum[:])}}}
		holds = append(holds, cdx.Dependency{Ref: ref, Dependencies: &refs})
	}
	list := make([]cdx.Component, 0, len(parts))
	for _, c := range parts {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	slices.SortFunc(holds, func(a, b cdx.Dependency) int { return cmp.Compare(a.Ref, b.Ref) })
	b.Components, b.Dependencies = &list, &holds
	return b
}

// part notes one module, as it was really built, and returns its reference.
func part(parts map[string]cdx.Component, m *debug.Module) string {
	if m.Replace != nil {
		m = m.Replace
	}
	ref := fmt.Sprintf("pkg:golang/%s@%s", m.Path, m.Version)
	c := cdx.Component{BOMRef: ref, PackageURL: ref, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version}
	if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok { // of go.sum: SHA-256 over the files' hashes
		if raw, err := base64.StdEncoding.DecodeString(sum); err == nil {
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
		}
	}
	parts[ref] = c
	return ref
}

func encode(b *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b)
	return out.Bytes(), err
}
