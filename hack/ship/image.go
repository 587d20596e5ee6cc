package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// user is who the image runs as: nobody in particular, and not root.
const user = "65532:65532"

// writeImage writes an image with one program and the list of its parts.
func writeImage(file, version, program, sbom string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	machine, err := static(binary)
	if err != nil {
		return fmt.Errorf("%s does not run in an image without anything else: %w", program, err)
	}
	parts, err := os.ReadFile(sbom)
	if err != nil {
		return err
	}
	tag, err := name.NewTag("poolkeeper:" + version)
	if err != nil {
		return err
	}
	img, err := image(version, machine, binary, parts)
	if err != nil {
		return err
	}
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		return err
	}
	digest, err := img.Digest()
	fmt.Println(file, tag, "linux/"+machine, digest)
	return err
}

// image is built from nothing: the program and the list of its parts, owned by
// root and writable by nobody. It writes nothing, so that it runs on a read-only
// file system. It holds no time, so that the same files give the same image.
func image(version, machine string, binary, parts []byte) (v1.Image, error) {
	content, err := files([]entry{{"poolkeeper", 0o555, binary}, {"sbom.cdx.json", 0o444, parts}})
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Architecture, c.OS = machine, "linux"
	c.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	c.Config = v1.Config{User: user, Entrypoint: []string{"/poolkeeper"}, Cmd: []string{"controller"}, WorkingDir: "/",
		Labels: map[string]string{"org.opencontainers.image.title": "poolkeeper", "org.opencontainers.image.version": version}}
	return mutate.ConfigFile(img, c)
}

// entry is one file of the image.
type entry struct {
	name    string
	mode    int64
	content []byte
}

func files(list []entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range list {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.content)), ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// machines are those that an image can be for, as images name them.
var machines = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// static names the machine that a program is for, and refuses one that needs a
// loader or libraries of a system.
func static(binary []byte) (string, error) {
	f, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return "", err
	}
	machine, ok := machines[f.Machine]
	if !ok {
		return "", fmt.Errorf("it is for %s", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", errors.New("it is linked dynamically")
		}
	}
	return machine, nil
}
